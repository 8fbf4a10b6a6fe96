import type { ConflictRecord, ConflictVersion } from "./conflict-record.ts";

type Facts = Pick<ConflictRecord, "path" | "kind" | "rule" | "certain" | "winner" | "loser">;

/** What happened, for somebody who did not write either version. Pure. */
export function whyOf(facts: Facts): string {
  const { certain, winner, loser } = facts;
  const sentences = [met(facts), outcome(facts), ...[winner, loser].map(boundWords)];
  if (!certain)
    sentences.push(
      "It may have been no conflict: the later writer did not say what it had seen (append with seen does).",
    );
  return sentences.filter((one) => one !== "").join(" ");
}

function met(facts: Facts): string {
  const { path, winner, loser } = facts;
  const place = path.length === 0 ? "the whole aggregate" : path.join(".");
  const wrote = [winner, loser]
    .filter((one) => one !== null)
    .map((one) => `${one.node} ${didWords(one, facts)} at ${timeWords(one.countsMs)}`);
  const unseen =
    wrote.length > 1
      ? "neither is known to have seen the other's"
      : "it is not known to have seen what stands";
  return `Of ${place}, ${wrote.join(", and ")}; ${unseen}.`;
}

function didWords(version: ConflictVersion, facts: Facts): string {
  const what = versionWords(version, facts);
  if (what === REMOVAL) return "removed it";
  return what.startsWith(REMOVAL_OF) ? `removed ${what.slice(REMOVAL_OF.length)}` : `wrote ${what}`;
}

function outcome(facts: Facts): string {
  const { kind, rule, winner, loser } = facts;
  const by = (version: ConflictVersion | null) =>
    version ? `${versionWords(version, facts)} by ${version.node}` : "the other one";
  switch (kind) {
    case "lost":
    case "removed":
      return `${RULES[rule] ?? `By the rule "${rule}"`} ${by(winner)} stands, and ${by(loser)} is kept in this journal only.`;
    case "siblings":
      return "Both are kept side by side, until a write that has seen both settles it.";
    case "merged":
      return MERGED[rule] ?? `Both are in the value now, by the rule "${rule}".`;
  }
}

const REMOVAL = "the removal";
const REMOVAL_OF = "the removal of ";

/** What a version is to the place that it is a version of. */
export function versionWords(version: ConflictVersion, { kind, rule, loser }: Facts): string {
  const what = valueWords(version);
  if (rule === ADD_WINS && version === loser) return REMOVAL_OF + what;
  if (version.value === null || (what === undefined && kind !== "lost")) return REMOVAL;
  return what ?? "something else around it";
}

/** Of a set: an element that was added stays, whatever a delete says that has not seen it. */
const ADD_WINS = "unseen add wins over delete";

const MERGED: Readonly<Record<string, string>> = {
  [ADD_WINS]: "A delete takes away only what its writer had seen, so the element stays.",
  "unseen write wins over delete": "A delete takes away only what its writer had seen, so the value stays.",
};

const RULES: Readonly<Record<string, string>> = {
  "later clock": "The later time wins, so",
  "later in its outbox": "The later one of a node's own writes wins, so",
  "tie: origin": "Their times are the same, and then the order of their origins decides:",
  delete: "A delete takes away what it is later than, so",
};

function boundWords(version: ConflictVersion | null): string {
  if (version?.bound === "ahead")
    return `The clock of ${version.node} was ahead: what it wrote counts as of when the hub took it.`;
  if (version?.bound === "late")
    return `What ${version.node} wrote came so late that it counts as younger than its clock says.`;
  return "";
}

const MOST_SHOWN = 60;

/** Undefined: it wrote nothing there, but something around it that has no place for it. */
function valueWords({ value, cutBytes }: ConflictVersion): string | undefined {
  if (cutBytes !== undefined) return `a value of ${cutBytes} bytes`;
  if (value === undefined) return undefined;
  const text = JSON.stringify(value);
  return text.length <= MOST_SHOWN ? text : `${text.slice(0, MOST_SHOWN)}…`;
}

const timeWords = (ms: number): string => (Math.abs(ms) <= 8.64e15 ? new Date(ms).toISOString() : `${ms} ms`);
