import { CONDITIONS } from "../shared/observe/condition-table.ts";
import { isConditionCode } from "../shared/observe/conditions.ts";
import type { FleetView } from "./coordinator-api.ts";

/** Something that is not as it should be, or soon will not be. */
export interface Problem {
  /** error: the command ends with 1. */
  readonly severity: "error" | "warning" | "info";
  /** Undefined: the coordinator itself. */
  readonly node?: string;
  readonly text: string;
  readonly whatToDo?: string;
}

type StatusCondition = FleetView["status"]["conditions"][number];

/** Everything that an operator should know of, worst first. Pure. */
export function fleetProblems({ status, nodes }: FleetView): Problem[] {
  const problems: Problem[] = [];
  if (!status.leads) {
    const text =
      status.holder === null
        ? `nobody leads: events wait in their outboxes`
        : `the coordinator of ${status.hub} does not lead; ${status.holder} does`;
    problems.push({ severity: "error", text });
  }
  for (const { name, health } of nodes) {
    if (health.state === "up") continue;
    problems.push({ severity: "error", node: name, text: `${health.state}: ${health.evidence.join(", ")}` });
  }
  const told = new Set(status.conditions.flatMap((one) => ("text" in one ? one.text : [])));
  for (const condition of status.conditions) {
    // That it does not lead is said above, in full.
    if (condition.code === "coordinator-not-leading") continue;
    // A hub's own conditions come from its coordinator, which knows what each is about, and with its heartbeat.
    if (!("text" in condition) && condition.node === status.hub && told.has(condition.detail)) continue;
    problems.push(problemOf(condition, status.hub));
  }
  const rank = { error: 0, warning: 1, info: 2 };
  return problems.toSorted((a, b) => rank[a.severity] - rank[b.severity]);
}

export function isAsItShouldBe(problems: readonly Problem[]): boolean {
  return problems.every(({ severity }) => severity !== "error");
}

function problemOf(condition: StatusCondition, hub: string): Problem {
  const { code } = condition;
  const severity = severityOf(condition.severity);
  if ("text" in condition) {
    const { text, whatToDo, subject = hub } = condition;
    return { severity, node: subject, text, whatToDo };
  }
  const { node, detail } = condition;
  return {
    severity,
    node,
    text: detail,
    ...(isConditionCode(code) && { whatToDo: CONDITIONS[code].whatToDo }),
  };
}

/** An agent of another version may know others. */
function severityOf(text: string): Problem["severity"] {
  return text === "error" || text === "warning" ? text : "info";
}
