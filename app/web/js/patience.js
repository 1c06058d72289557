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
 * @param {object} [how]
 * @param {number[]} [how.statuses] of the problems that may pass; 0 is that of a service that cannot be reached.
 * @param {number} [how.tries]
 * @param {number} [how.waitS] how long to wait where it does not say.
 * @param {(problem: Problem, seconds: number) => void} [how.onWait]
 * @param {() => void} [how.onGoOn] told when it is asked again.
 * @returns {Promise<T>}
 * @throws {Problem} it refused for another reason, or was busy too often; an AbortError where the signal aborted.
 */
export async function patiently(asked, signal, how = {}) {
  const { statuses = BUSY, tries = TRIES, waitS = WAIT_S, onWait = () => {}, onGoOn = () => {} } = how;
  for (let tried = 1; ; tried += 1) {
    try {
      return await asked();
    } catch (problem) {
      if (signal.aborted || !statuses.includes(problem.status) || tried === tries) throw problem;
      const seconds = problem.retryAfter ?? waitS;
      onWait(problem, seconds);
      await pause(seconds, signal);
      signal.throwIfAborted();
      onGoOn();
    }
  }
}

const pause = (seconds, signal) =>
  new Promise((resolve) => {
    const end = () => {
      clearTimeout(timer);
      signal.removeEventListener("abort", end);
      resolve();
    };
    const timer = setTimeout(end, 1000 * seconds);
    signal.addEventListener("abort", end);
  });
