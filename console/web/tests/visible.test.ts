/** Nothing that lies to the eye passes unmarked, and nothing honest is touched. */
import { describe, expect, test } from 'vitest';

import { pieces, visible } from '../src/look/visible';

describe('visible', () => {
  test.each([
    ['may-\u202eexe.tahc', 'may-\\u{202e}exe.tahc'], ['a\u200bb', 'a\\u{200b}b'], ['a\tb\r\nc', 'a\\tb\\r\\nc'], ['\u0000\u001b[31m', '\\0\\u{001b}[31m'],
    ['\ufeffx', '\\u{feff}x'], ['\u{e0041}', '\\u{e0041}'], ['\u2066x\u2069', '\\u{2066}x\\u{2069}'], ['\ud800', '\\u{d800}'], ['soft\u00adhyphen', 'soft\\u{00ad}hyphen'], ['\u3164', '\\u{3164}'],
  ])('%j', (text, expected) => {
    expect(visible(text)).toBe(expected);
  });

  test.each(['Sự cố tại Sở Y tế', 'Su\u031bˀ co\u0302\u0301', '日本語', '😀', '<script>alert(1)</script>', '=1+1', ''])('leaves %j alone', (text) => {
    expect(visible(text)).toBe(text);
    expect(pieces(text).every((piece) => !piece.escape)).toBe(true);
  });

  test('the pieces put together are the whole text, escaped', () => {
    let state = 7;
    for (let round = 0; round < 2_000; round += 1) {
      const text = Array.from({ length: 12 }, () => {
        state = (Math.imul(state, 1664525) + 1013904223) >>> 0;
        return String.fromCodePoint(state % (state % 3 === 0 ? 0x110000 : 0x2100));
      }).join('');
      expect(pieces(text).map((piece) => piece.text).join('')).toBe(visible(text));
      expect(visible(visible(text))).toBe(visible(text));
    }
  });
});
