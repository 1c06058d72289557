// Ticks of axes.

/** Round numbers between two, about as many as asked for. */
export function linearTicks(low, high, about = 5) {
  if (!(high > low)) return [low];
  const raw = (high - low) / about;
  const power = 10 ** Math.floor(Math.log10(raw));
  const step = [1, 2, 5, 10].find((one) => one * power >= raw) * power;
  const first = Math.ceil(low / step - 1e-9);
  const last = Math.floor(high / step + 1e-9);
  return Array.from({ length: last - first + 1 }, (_, at) => Number(((first + at) * step).toPrecision(12)));
}

/** Powers of ten between two numbers above 0; with 2 and 5 where there are few. */
export function logTicks(low, high) {
  const powers = range(Math.floor(Math.log10(low)), Math.ceil(Math.log10(high))).map((power) => 10 ** power);
  const within = (ticks) => ticks.filter((tick) => tick >= low * 0.999 && tick <= high * 1.001);
  const tens = within(powers);
  if (tens.length > 6) return tens.filter((_, at) => at % Math.ceil(tens.length / 5) === 0);
  return tens.length >= 3 ? tens : within(powers.flatMap((power) => [power, 2 * power, 5 * power]));
}

/** The smallest range with all numbers, and some air; null where there is none. */
export function extent(values, air = 0.06) {
  const known = values.filter((value) => Number.isFinite(value));
  if (!known.length) return null;
  const [low, high] = [Math.min(...known), Math.max(...known)];
  const room = (high - low || Math.abs(high) || 1) * air;
  return [low - room, high + room];
}

const range = (from, to) => Array.from({ length: to - from + 1 }, (_, at) => from + at);
