import type { StoredMessage } from "../../shared/protocol/event.ts";
import type { CommitAttempt } from "./sim-program.ts";
import { uidOf } from "./uid.ts";

// Judges strong commits by the log and by what programs were told: none of the code under test.

/**
 * What is wrong, one line each: a commit stored twice, at another version than it expected, lost or otherwise than it was
 * answered.
 * @param log whole, with what retention took from its beginning
 * @param wasRestored the log was put back to an older one, which takes answers back
 */
export function commitFaults(
  attempts: readonly CommitAttempt[],
  log: readonly StoredMessage[],
  wasRestored: boolean,
): string[] {
  const faults: string[] = [];
  const byUid = new Map(attempts.map((attempt) => [attempt.uid, attempt]));
  const indexes = new Map<number, number>();
  const versions = new Map<string, number>();
  for (const message of log) {
    const [, node, lane, index] =
      /^Cim-Log: \S+\.\d+\r\nCim-Origin: (\S+) \d+ (\S) (\d+)\r\n/.exec(message.headerText) ?? [];
    const attempt = byUid.get(uidOf(message) ?? 0);
    if (!attempt || lane !== "c") {
      if (attempt || lane === "c") faults.push(`log message ${message.seq} is no commit, or nobody's`);
      continue;
    }
    const { uid, subject, expected } = attempt;
    const aggregate = subject.split(".")[3] ?? "";
    if (indexes.has(uid)) faults.push(`commit ${uid} is in the log more than once`);
    if (message.subject !== subject || node !== attempt.node) faults.push(`commit ${uid} is another one`);
    const version = versions.get(aggregate) ?? 0;
    if (expected !== undefined && expected !== version)
      faults.push(`commit ${uid} expected ${aggregate} at ${expected}, and stands behind ${version}`);
    indexes.set(uid, Number(index));
    versions.set(aggregate, Number(index));
  }
  if (wasRestored) return faults;
  for (const { uid, told, contradictions } of attempts) {
    const index = indexes.get(uid);
    if (contradictions.length > 0) faults.push(`commit ${uid} was answered ${contradictions.join("; ")}`);
    if (!told) continue;
    if ("refused" in told && index !== undefined) faults.push(`commit ${uid} was refused and is at ${index}`);
    if ("version" in told && index !== told.version)
      faults.push(`commit ${uid} was acknowledged at ${told.version} and is at ${index ?? "nowhere"}`);
  }
  return faults;
}
