const encoder = new TextEncoder();

/** Whether a text takes more than `maxBytes` in UTF-8. */
export function exceedsBytes(text: string, maxBytes: number): boolean {
  // A UTF-16 unit takes one to three bytes, so most texts need not be measured.
  if (text.length * 3 <= maxBytes) return false;
  return text.length > maxBytes || encoder.encode(text).length > maxBytes;
}
