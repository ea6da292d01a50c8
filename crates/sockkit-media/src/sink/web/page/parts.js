// Reads multipart/x-mixed-replace, whose parts all carry Content-Length.
async function readParts(reader, take) {
  const latin = new TextDecoder("latin1");
  let head = "", jpeg = null, filled = 0, name = "", captured = 0;
  for (;;) {
    const { done, value } = await reader.read();
    if (done) return;
    for (let at = 0; at < value.length;) {
      if (jpeg) {
        const piece = value.subarray(at, at + jpeg.length - filled);
        jpeg.set(piece, filled);
        filled += piece.length;
        at += piece.length;
        if (filled === jpeg.length) {
          take(name, jpeg, captured);
          jpeg = null;
        }
        continue;
      }
      const before = head.length;
      head += latin.decode(value.subarray(at, at + 1024));
      const end = head.indexOf("\r\n\r\n");
      if (end < 0) {
        if (head.length > 8192) throw new Error("no end of the part's headers");
        at += 1024;
        continue;
      }
      at += end + 4 - before;
      jpeg = new Uint8Array(Number(/^content-length: *(\d+)/im.exec(head)[1]));
      name = /^x-stream: *(\S+)/im.exec(head)[1];
      captured = 1000 * /^x-timestamp: *([\d.]+)/im.exec(head)[1];
      filled = 0;
      head = "";
    }
  }
}
