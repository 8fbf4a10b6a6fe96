import { expect, test } from "vitest";
import { countTests, summaryLine, type VitestReport } from "../../../scripts/test-summary.ts";

function report(...files: { status: string; tests: string[] }[]): VitestReport {
  return {
    testResults: files.map(({ status, tests }, i) => ({
      name: `${i}.test.ts`,
      status,
      assertionResults: tests.map((status) => ({ status })),
    })),
  };
}

const green = report({ status: "passed", tests: ["passed", "passed", "skipped", "todo", "pending"] });

test("tests are counted by what became of them", () => {
  expect(countTests(green, 0)).toEqual({ passed: 2, failed: 0, skipped: 3 });
  const red = report({ status: "failed", tests: ["passed", "failed", "failed"] });
  expect(countTests(red, 1)).toEqual({ passed: 1, failed: 2, skipped: 0 });
});

test("a file that could not be loaded is a failure", () => {
  const broken = report({ status: "passed", tests: ["passed"] }, { status: "failed", tests: [] });
  expect(countTests(broken, 1)).toEqual({ passed: 1, failed: 1, skipped: 0 });
});

test("a run that broke never reads 0 failed", () => {
  expect(countTests(undefined, 0).failed).toBe(1);
  expect(countTests(green, 1).failed).toBe(1);
  expect(countTests(report(), 0).failed).toBe(1);
});

test("the line that other programs read", () => {
  expect(summaryLine({ passed: 3, failed: 1, skipped: 0 })).toBe("3 passed, 1 failed, 0 skipped");
});
