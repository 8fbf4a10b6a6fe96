import { CONDITIONS } from "../../shared/observe/condition-table.ts";
import { type Conditions, isConditionCode } from "../../shared/observe/conditions.ts";
import { EventFeed } from "../../shared/observe/event-feed.ts";
import type { Fleet, FleetChange, FleetNode } from "./fleet.ts";

/** A condition of a node as the feed tells of it. */
export interface NodeCondition {
  readonly node: string;
  readonly code: string;
  readonly severity: string;
  readonly text: string;
  /** Absent for a code of a later version. */
  readonly whatToDo?: string;
}

const EVENT_OF = { appeared: "node-appeared", health: "node-health", forgotten: "node-forgotten" } as const;

/** `/api/v1/events`: nodes and their health as they change, conditions of all nodes within a second. */
export class FleetEvents {
  readonly feed = new EventFeed();
  readonly #hub: string;
  #told = new Map<string, NodeCondition>();

  constructor(fleet: Fleet, hub: string) {
    this.#hub = hub;
    fleet.subscribe((change) => this.#onChange(change));
  }

  /** Tells which conditions came and went since the last look. */
  judge(conditions: Conditions, nodes: readonly FleetNode[]): void {
    const before = this.#told;
    this.#told = new Map(
      nodeConditions(this.#hub, conditions, nodes).map((one) => [`${one.node} ${one.code}`, one]),
    );
    const at = new Date().toISOString();
    for (const [id, condition] of this.#told) {
      if (!before.has(id)) this.feed.send({ event: "condition-raised", data: { at, ...condition } });
    }
    for (const [id, { node, code, severity }] of before) {
      if (!this.#told.has(id))
        this.feed.send({ event: "condition-cleared", data: { at, node, code, severity } });
    }
  }

  #onChange({ kind, node }: FleetChange): void {
    const { name, role, region, capabilities, sources, health } = node;
    const at = new Date().toISOString();
    const who = kind === "appeared" ? { role, region, capabilities, sources } : {};
    this.feed.send({ event: EVENT_OF[kind], data: { at, node: name, ...who, health } });
  }
}

/** What is shown of all nodes, each condition of a node once: a hub's come from its coordinator and in its heartbeat. */
function nodeConditions(hub: string, conditions: Conditions, nodes: readonly FleetNode[]): NodeCondition[] {
  const own = conditions.list().map(({ subject = hub, code, severity, text, whatToDo }) => ({
    node: subject,
    code,
    severity,
    text,
    whatToDo,
  }));
  const heard = nodes.flatMap(({ name, heartbeat }) =>
    (heartbeat?.conditions ?? []).map(({ code, severity, detail }) => ({
      node: name,
      code,
      severity,
      text: detail,
      ...(isConditionCode(code) && { whatToDo: CONDITIONS[code].whatToDo }),
    })),
  );
  return [...heard, ...own];
}
