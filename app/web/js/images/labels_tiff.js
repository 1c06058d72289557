// Label images as the service writes them: grey TIFF of 16 or 32 bits, in strips, deflated or not.

const DEFLATED = 8;
const SIZES = { 3: 2, 4: 4 };
const TAG = {
  width: 256,
  height: 257,
  bits: 258,
  compression: 259,
  photometric: 262,
  offsets: 273,
  samples: 277,
  rows: 278,
  counts: 279,
};

/**
 * Labels of a little-endian TIFF's first page.
 *
 * @param {Uint8Array} bytes the file.
 * @returns {Promise<{width: number, height: number, data: Uint16Array | Uint32Array}>} row by row; 0 is background.
 * @throws {Error} it is none that the service writes.
 */
export async function readLabels(bytes) {
  const view = new DataView(bytes.buffer, bytes.byteOffset, bytes.byteLength);
  if (view.getUint16(0, true) !== 0x4949 || view.getUint16(2, true) !== 42) throw new Error("not a little-endian TIFF");
  const tags = readTags(view, view.getUint32(4, true));
  const [width] = tags[TAG.width];
  const [height] = tags[TAG.height];
  const [bits] = tags[TAG.bits];
  const isDeflated = tags[TAG.compression][0] === DEFLATED;
  if (!isDeflated && tags[TAG.compression][0] !== 1) throw new Error("a compression that is not ours");
  const whole = new Uint8Array((width * height * bits) / 8);
  const strips = tags[TAG.offsets].map((offset, index) => bytes.subarray(offset, offset + tags[TAG.counts][index]));
  let at = 0;
  for (const strip of strips) {
    const plain = isDeflated ? await passed(strip, new DecompressionStream("deflate")) : strip;
    whole.set(plain, at);
    at += plain.length;
  }
  return { width, height, data: bits === 16 ? new Uint16Array(whole.buffer) : new Uint32Array(whole.buffer) };
}

function readTags(view, start) {
  const tags = {};
  for (let index = 0; index < view.getUint16(start, true); index += 1) {
    const entry = start + 2 + 12 * index;
    const size = SIZES[view.getUint16(entry + 2, true)];
    if (!size) continue;
    const count = view.getUint32(entry + 4, true);
    const from = count * size <= 4 ? entry + 8 : view.getUint32(entry + 8, true);
    const read = size === 2 ? (at) => view.getUint16(at, true) : (at) => view.getUint32(at, true);
    tags[view.getUint16(entry, true)] = Array.from({ length: count }, (_, one) => read(from + one * size));
  }
  return tags;
}

/**
 * The file of a label image, deflated, in one strip.
 *
 * @param {{width: number, height: number, data: Uint16Array | Uint32Array}} labels
 * @returns {Promise<Blob>}
 */
export async function writeLabels({ width, height, data }) {
  const pixels = await passed(
    new Uint8Array(data.buffer, data.byteOffset, data.byteLength),
    new CompressionStream("deflate"),
  );
  const entries = [
    [TAG.width, width],
    [TAG.height, height],
    [TAG.bits, data.BYTES_PER_ELEMENT * 8],
    [TAG.compression, DEFLATED],
    [TAG.photometric, 1],
    [TAG.offsets, 0],
    [TAG.samples, 1],
    [TAG.rows, height],
    [TAG.counts, pixels.length],
  ];
  const header = new DataView(new ArrayBuffer(8 + 2 + 12 * entries.length + 4));
  entries.find(([tag]) => tag === TAG.offsets)[1] = header.byteLength;
  header.setUint16(0, 0x4949, true);
  header.setUint16(2, 42, true);
  header.setUint32(4, 8, true);
  header.setUint16(8, entries.length, true);
  entries.forEach(([tag, value], index) => {
    const entry = 10 + 12 * index;
    header.setUint16(entry, tag, true);
    header.setUint16(entry + 2, 4, true);
    header.setUint32(entry + 4, 1, true);
    header.setUint32(entry + 8, value, true);
  });
  return new Blob([header, pixels], { type: "image/tiff" });
}

async function passed(bytes, stream) {
  return new Uint8Array(await new Response(new Blob([bytes]).stream().pipeThrough(stream)).arrayBuffer());
}

/** The bytes of base64. */
export function fromBase64(text) {
  const letters = atob(text);
  const bytes = new Uint8Array(letters.length);
  for (let index = 0; index < letters.length; index += 1) bytes[index] = letters.charCodeAt(index);
  return bytes;
}
