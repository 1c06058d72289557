// Tables within a zip, which may be its layout: the service reads the images of a zip alone.

const END = 0x06054b50;
const ENTRY = 0x02014b50;
const END_BYTES = 22;
const LONGEST_COMMENT = 65_535;
const MOST_BYTES = 20 * 2 ** 20;
const LAYOUT = /^(?!__MACOSX|.*\/\.).*\.(csv|tsv|txt)$/i;

/**
 * The CSV, TSV and text files of a zip.
 *
 * @param {Blob} zip
 * @returns {Promise<{name: string, file: () => Promise<File>}[]>} none where it is damaged, or of 4 GB and more.
 */
export async function zipLayouts(zip) {
  const from = Math.max(0, zip.size - END_BYTES - LONGEST_COMMENT);
  const tail = new DataView(await zip.slice(from).arrayBuffer());
  let at = tail.byteLength - END_BYTES;
  while (at >= 0 && tail.getUint32(at, true) !== END) at -= 1;
  if (at < 0) return [];
  const start = tail.getUint32(at + 16, true);
  const directory = new DataView(await zip.slice(start, start + tail.getUint32(at + 12, true)).arrayBuffer());
  return [...entries(directory)]
    .filter(({ name, size, packed, method }) => LAYOUT.test(name) && Math.max(size, packed) < MOST_BYTES && [0, 8].includes(method))
    .map((entry) => ({ name: entry.name, file: () => unpacked(zip, entry) }));
}

function* entries(directory) {
  let at = 0;
  while (at + 46 <= directory.byteLength && directory.getUint32(at, true) === ENTRY) {
    const [nameBytes, extraBytes, commentBytes] = [28, 30, 32].map((field) => directory.getUint16(at + field, true));
    const name = new TextDecoder().decode(new Uint8Array(directory.buffer, at + 46, nameBytes));
    const [packed, size, offset] = [20, 24, 42].map((field) => directory.getUint32(at + field, true));
    yield { name, packed, size, offset, method: directory.getUint16(at + 10, true) };
    at += 46 + nameBytes + extraBytes + commentBytes;
  }
}

async function unpacked(zip, { name, packed, offset, method }) {
  const local = new DataView(await zip.slice(offset, offset + 30).arrayBuffer());
  const start = offset + 30 + local.getUint16(26, true) + local.getUint16(28, true);
  let content = zip.slice(start, start + packed);
  if (method === 8) content = await new Response(content.stream().pipeThrough(new DecompressionStream("deflate-raw"))).blob();
  return new File([content], name);
}
