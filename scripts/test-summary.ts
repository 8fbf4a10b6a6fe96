/** What `npm test` counts: vitest's own JSON report, plus whatever failed without becoming a test there. */

export interface TestCounts {
  readonly passed: number;
  readonly failed: number;
  readonly skipped: number;
}

/** The part of vitest's JSON reporter (Jest's format) that is counted. */
export interface VitestReport {
  readonly testResults: readonly {
    readonly name: string;
    readonly status: string;
    readonly assertionResults: readonly { readonly status: string }[];
  }[];
}

/**
 * A file that failed outside its tests (import error, a hook) counts as one failure, and so does a run that
 * ended badly for any other reason (unhandled error, crash, no report): a broken run never reads "0 failed".
 */
export function countTests(report: VitestReport | undefined, exitCode: number): TestCounts {
  let passed = 0;
  let failed = 0;
  let skipped = 0;
  for (const file of report?.testResults ?? []) {
    const statuses = file.assertionResults.map((test) => test.status);
    const failedHere = statuses.filter((status) => status === "failed").length;
    passed += statuses.filter((status) => status === "passed").length;
    skipped += statuses.filter((status) => status !== "passed" && status !== "failed").length;
    failed += file.status === "failed" ? Math.max(1, failedHere) : failedHere;
  }
  const broken = report === undefined || exitCode !== 0 || passed + failed + skipped === 0;
  return { passed, failed: broken ? Math.max(1, failed) : failed, skipped };
}

export function summaryLine({ passed, failed, skipped }: TestCounts): string {
  return `${passed} passed, ${failed} failed, ${skipped} skipped`;
}
