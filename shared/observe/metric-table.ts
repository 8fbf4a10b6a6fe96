/** Every metric there is. Labels are bounded: node, domain, state, reason and the like; never an aggregate or event id. */
export interface MetricDeclaration {
  readonly kind: "counter" | "gauge" | "histogram";
  readonly help: string;
  readonly labels: readonly string[];
  /** Which daemon shows it; the hub's coordinator ships its own outbox and shows the agent's too. */
  readonly by: readonly ("agent" | "coordinator")[];
  /** Upper bounds of a histogram's buckets, in its unit. */
  readonly buckets?: readonly number[];
}

/** From a local append that takes a millisecond to an event that waited a minute; 1 s is a bound, alerts compare with it. */
const APPEND_TO_LOG_S = [
  0.001, 0.002, 0.003, 0.005, 0.008, 0.015, 0.025, 0.045, 0.08, 0.15, 0.3, 0.5, 1, 2, 5, 10, 30, 60,
] as const;

const both = ["agent", "coordinator"] as const;
const agent = ["agent"] as const;
const coordinator = ["coordinator"] as const;

export const METRICS = {
  cim_events_processed_total: {
    kind: "counter",
    help: "Events taken into the log, by domain and origin; taken from the log itself, so restarts keep it.",
    labels: ["domain", "node"],
    by: coordinator,
  },
  cim_event_processing_duration_seconds: {
    kind: "histogram",
    help: "From an event's append at its origin to its being durable in the log.",
    labels: [],
    by: coordinator,
    buckets: APPEND_TO_LOG_S,
  },
  cim_replication_lag_events: {
    kind: "gauge",
    help: "Events of an origin that a node does not have yet.",
    labels: ["origin", "node"],
    by: both,
  },
  cim_replication_lag_seconds: {
    kind: "gauge",
    help: "Age of the oldest event of an origin that a node does not have yet.",
    labels: ["origin", "node"],
    by: both,
  },
  cim_link_up: {
    kind: "gauge",
    help: "1 while the node's link to the hub is up, else 0.",
    labels: ["node"],
    by: both,
  },
  cim_node_health: {
    kind: "gauge",
    help: "1 for the state a node is in, 0 for the others.",
    labels: ["node", "state"],
    by: coordinator,
  },
  cim_outbox_runway_seconds: {
    kind: "gauge",
    help: "Time until the outbox or its disk is full at the present rate.",
    labels: [],
    by: agent,
  },
  cim_outbox_bytes: {
    kind: "gauge",
    help: "Bytes that the outbox holds.",
    labels: [],
    by: agent,
  },
  cim_outbox_events: {
    kind: "gauge",
    help: "Events that the outbox holds.",
    labels: [],
    by: agent,
  },
  cim_disk_free_bytes: {
    kind: "gauge",
    help: "Free bytes on the disk of the server's store.",
    labels: [],
    by: agent,
  },
  cim_uplink_blocks_total: {
    kind: "counter",
    help: "Blocks of the outbox that the sequencer has answered.",
    labels: [],
    by: agent,
  },
  cim_uplink_block_bytes_total: {
    kind: "counter",
    help: "Bytes of those blocks as they went over the link, compressed.",
    labels: [],
    by: agent,
  },
  cim_uplink_events_total: {
    kind: "counter",
    help: "Events in those blocks.",
    labels: [],
    by: agent,
  },
  cim_copy_events_total: {
    kind: "counter",
    help: "Events written to the node's copy of the log.",
    labels: [],
    by: agent,
  },
  cim_log_batches_total: {
    kind: "counter",
    help: "Batches written to the log.",
    labels: [],
    by: coordinator,
  },
  cim_foreign_total: {
    kind: "counter",
    help: "Messages taken out of the log or the copy that no daemon wrote.",
    labels: [],
    by: both,
  },
  cim_refused_total: {
    kind: "counter",
    help: "Events that the sequencer would not take.",
    labels: ["reason"],
    by: both,
  },
  cim_route_decisions_total: {
    kind: "counter",
    help: "Commands for which a leaf was chosen.",
    labels: [],
    by: coordinator,
  },
  cim_route_refusals_total: {
    kind: "counter",
    help: "Commands that were refused, or whose leaf went away with them.",
    labels: ["reason"],
    by: coordinator,
  },
  cim_commands_in_flight: {
    kind: "gauge",
    help: "Commands that were sent to a leaf and are not answered yet.",
    labels: [],
    by: coordinator,
  },
  cim_conflicts_total: {
    kind: "counter",
    help: "Concurrent writes that were resolved.",
    labels: ["domain", "resolver"],
    by: both,
  },
  cim_state_events_total: {
    kind: "counter",
    help: "Events folded into states, also those of states that are folded anew.",
    labels: [],
    by: both,
  },
  cim_state_lag_events: {
    kind: "gauge",
    help: "Messages of the node's log or copy that are not folded into states yet.",
    labels: [],
    by: both,
  },
  cim_state_poisoned_events: {
    kind: "gauge",
    help: "Events that were set aside because they can't be folded.",
    labels: [],
    by: both,
  },
  cim_state_rebuild_remaining_events: {
    kind: "gauge",
    help: "Messages that states which are folded anew have still to pass; absent while none are.",
    labels: [],
    by: both,
  },
  cim_epoch: {
    kind: "gauge",
    help: "Epoch of the newest reign known here.",
    labels: [],
    by: both,
  },
  cim_condition: {
    kind: "gauge",
    help: "1 for each health condition that is shown now.",
    labels: ["code", "severity"],
    by: both,
  },
  cim_build_info: {
    kind: "gauge",
    help: "1; the version is in the label.",
    labels: ["version"],
    by: both,
  },
} as const satisfies Record<string, MetricDeclaration>;

export type MetricName = keyof typeof METRICS;

/** Names of the metrics of one kind. */
export type NamesOf<Kind extends MetricDeclaration["kind"]> = {
  [Name in MetricName]: (typeof METRICS)[Name]["kind"] extends Kind ? Name : never;
}[MetricName];

/** The labels a metric must be given: exactly those declared. */
export type LabelsOf<Name extends MetricName> = Readonly<
  Record<(typeof METRICS)[Name]["labels"][number], string>
>;
