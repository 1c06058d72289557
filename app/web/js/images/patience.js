// A busy service says when to come again.

const BUSY = [429, 503];
const TRIES = 8;
// Where it does not say when.
const WAIT_S = 3;

/**
 * Ask until the service is not busy.
 *
 * @template T
 * @param {() => Promise<T>} asked
 * @param {AbortSignal} signal ends the waiting.
 * @param {(isBusy: boolean) => void} onBusy told when waiting begins and ends.
 * @returns {Promise<T>}
 * @throws {Problem} it refused for another reason, or was busy too often.
 */
export async function patiently(asked, signal, onBusy = () => {}) {
  for (let tried = 1; ; tried += 1) {
    try {
      return await asked();
    } catch (problem) {
      if (signal.aborted || !BUSY.includes(problem.status) || tried === TRIES) throw problem;
      onBusy(true);
      await new Promise((resolve) => setTimeout(resolve, 1000 * (problem.retryAfter ?? WAIT_S)));
      signal.throwIfAborted();
      onBusy(false);
    }
  }
}
