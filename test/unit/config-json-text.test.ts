import fc from "fast-check";
import { describe, expect, it } from "vitest";
import { jsonFault } from "../../shared/config/json-text.ts";

const parses = (text: string): boolean => {
  try {
    JSON.parse(text);
    return true;
  } catch {
    return false;
  }
};

describe("where a text is not JSON", () => {
  it.each([
    ['{\n  "a": 1,\n}', 3, 1, 'a key in "…" is expected'],
    ['{\n  "a": 1\n  "b": 2\n}', 3, 3, "a , or } is expected"],
    ['{"a": [1 2]}', 1, 10, "a , or ] is expected"],
    ['{"a" 1}', 1, 6, "a : is expected after the key"],
    ["{'a': 1}", 1, 2, 'a key in "…" is expected'],
    ['{"a": 01}', 1, 7, "a value is expected"],
    ['{"a": tru}', 1, 7, "a value is expected"],
    ['{"a": "x\ny"}', 1, 7, "a string that does not end, or has a wrong escape"],
    ['{\n  // why\n  "a": 1\n}', 2, 3, "JSON has no comments"],
    ['{"a": 1} x', 1, 10, "nothing may follow the document"],
    ["", 1, 1, "the text ends, but a value is expected"],
    ['{"a": {"b": 1, "b": 2}}', 1, 16, 'the key "b" is there twice'],
  ])("%j", (text, line, column, problem) => {
    expect(jsonFault(text)).toEqual({ line, column, problem });
  });

  it("does not exhaust the stack", () => {
    expect(jsonFault("[".repeat(1_000_000))?.problem).toMatch(/nested deeper/);
  });

  it("finds nothing in what JSON.stringify writes", () => {
    fc.assert(
      fc.property(fc.jsonValue(), fc.constantFrom(0, 2, "\t"), (value, space) => {
        expect(jsonFault(JSON.stringify(value, null, space))).toBeNull();
      }),
    );
  });

  it("agrees with JSON.parse about any text that is nearly JSON", () => {
    const nearly = fc
      .tuple(
        fc.json(),
        fc.nat(),
        fc.constantFrom("", ",", '"', "}", "]", "\\", "0", "-", ".", "e", "\n", "\u0001"),
      )
      .map(([text, at, put]) => {
        const index = at % (text.length + 1);
        return text.slice(0, index) + put + text.slice(index + 1);
      });
    fc.assert(
      fc.property(nearly, (text) => {
        const fault = jsonFault(text);
        if (fault?.problem.endsWith("is there twice")) return;
        expect(fault === null).toBe(parses(text));
      }),
      { numRuns: 2_000 },
    );
  });
});
