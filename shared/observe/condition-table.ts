/**
 * Everything that can be wrong with a node, as data: what it means and what a person should do about it.
 * Modelled on tailscale's health warnings (health/warnings.go).
 */
export interface ConditionDeclaration {
  /** info: worth knowing. warning: works, but not for ever or not as asked. error: does not do its job. */
  readonly severity: "info" | "warning" | "error";
  readonly title: string;
  /** One sentence; `{name|otherwise}` is filled from the detail, or reads `otherwise` without it. */
  readonly text: string;
  readonly whatToDo: string;
  /** How long it must last before it is shown, milliseconds: a reconnect is not worth a word. */
  readonly timeToVisibleMs: number;
  /** Whether `/readyz` fails while it is shown. Being cut off is no reason: a leaf's job is to take writes then. */
  readonly affectsReadiness: boolean;
  /** While one of these holds it is not shown: it only follows from them. */
  readonly dependsOn?: readonly string[];
}

const declare = <Code extends string>(table: Record<Code, ConditionDeclaration>) => table;

export const CONDITIONS = declare({
  starting: {
    severity: "info",
    title: "Starting",
    text: "The daemon is not ready yet{step|}.",
    whatToDo: "Nothing; see the log if it lasts.",
    timeToVisibleMs: 0,
    affectsReadiness: true,
  },
  "server-down": {
    severity: "error",
    title: "nats-server down",
    text: "The node's own nats-server at {url|its address} does not answer.",
    whatToDo: "Start nats-server, or read its log; the daemon reconnects by itself.",
    timeToVisibleMs: 2_000,
    affectsReadiness: true,
  },
  "server-too-old": {
    severity: "error",
    title: "nats-server too old",
    text: "nats-server is {version|too old}; its batches and expectations need {needed|2.15.2 or newer}.",
    whatToDo: "Install nats-server {needed|2.15.2} or newer and restart it.",
    timeToVisibleMs: 0,
    affectsReadiness: true,
  },
  "store-error": {
    severity: "error",
    title: "Store refuses",
    text: "The server's store does not take writes: {error|see its log}.",
    whatToDo: "Look at the disk and nats-server's log; after a full disk the server must be restarted.",
    timeToVisibleMs: 0,
    affectsReadiness: true,
    dependsOn: ["server-down"],
  },
  "conflicts-not-written": {
    severity: "error",
    title: "Journal refuses",
    text: "The journal of conflicts (CIM_CONFLICTS) takes nothing: {error|see the log}. States wait for it.",
    whatToDo: "Look at the disk and nats-server's log; it is tried again by itself.",
    timeToVisibleMs: 5_000,
    affectsReadiness: false,
    dependsOn: ["server-down"],
  },
  "disk-full": {
    severity: "error",
    title: "Disk full",
    text: "The disk of {path|the store} is full: writers get errors, acknowledged events are kept.",
    whatToDo: "Free space, then restart nats-server: it does not go on by itself.",
    timeToVisibleMs: 0,
    affectsReadiness: true,
  },
  "disk-runway-short": {
    severity: "warning",
    title: "Disk soon full",
    text: "At the present rate the disk is full in {runway|a short time}.",
    whatToDo: "Free space, shorten log.retentionDays, or give the store a larger disk.",
    timeToVisibleMs: 30_000,
    affectsReadiness: false,
    dependsOn: ["disk-full"],
  },
  "outbox-nearly-full": {
    severity: "warning",
    title: "Outbox nearly full",
    text: "The outbox is {percent|over 80} % full; at the present rate it is full in {runway|a short time}.",
    whatToDo: "Bring the link back, or raise outbox.maxBytes and reload.",
    timeToVisibleMs: 5_000,
    affectsReadiness: false,
    dependsOn: ["outbox-full"],
  },
  "outbox-full": {
    severity: "error",
    title: "Outbox full",
    text: "The outbox is full: writers get errors until the hub has taken events; nothing is dropped.",
    whatToDo: "Bring the link back, or raise outbox.maxBytes and reload.",
    timeToVisibleMs: 0,
    affectsReadiness: true,
  },
  "link-down": {
    severity: "warning",
    title: "Link down",
    text: "The link to the hub is down; writes go on here and are shipped when it is back.",
    whatToDo: "Look at the network, and whether the hub's leafListen can be reached.",
    timeToVisibleMs: 2_000,
    affectsReadiness: false,
    dependsOn: ["server-down"],
  },
  "hub-unreachable": {
    severity: "warning",
    title: "Hub does not answer",
    text: "The link is up, but the hub's coordinator does not answer.",
    whatToDo: "Look at the coordinator on the hub: cim status there, then its log.",
    timeToVisibleMs: 3_000,
    affectsReadiness: false,
    dependsOn: ["link-down", "server-down"],
  },
  "incompatible-hub": {
    severity: "error",
    title: "Hub speaks another protocol",
    text: "The hub's coordinator does not take what this agent sends.",
    whatToDo: "Upgrade the older of the two; events wait in the outbox meanwhile.",
    timeToVisibleMs: 0,
    affectsReadiness: false,
  },
  "log-full": {
    severity: "error",
    title: "Log takes no events",
    text: "The hub's store does not take what is to be logged: {error|see nats-server's log}. Events wait in their outboxes.",
    whatToDo:
      "Raise log.maxBytes or nats.maxFile, shorten log.retentionDays, or free space on the hub's disk.",
    timeToVisibleMs: 0,
    affectsReadiness: true,
    dependsOn: ["disk-full"],
  },
  "copy-full": {
    severity: "error",
    title: "Copy takes no events",
    text: "The node's store does not take what is to be copied: {error|see nats-server's log}. It goes on when there is room.",
    whatToDo: "Raise nats.maxFile, subscribe to fewer domains, or free space on the node's disk.",
    timeToVisibleMs: 0,
    affectsReadiness: false,
    dependsOn: ["disk-full"],
  },
  "log-unreadable": {
    severity: "error",
    title: "Log can't be continued",
    text: "Messages of the log were deleted in its midst; it is not continued.",
    whatToDo:
      "Restore the log from a backup, or delete from its stream what stands behind the gap; it then goes on by itself.",
    timeToVisibleMs: 0,
    affectsReadiness: true,
  },
  "log-foreign": {
    severity: "warning",
    title: "Foreign messages in the log",
    text: "{count|Some} messages that no sequencer wrote were taken out of the log, the last on {subject|a subject of the log}.",
    whatToDo:
      "Find who names cim.log.… as reply or deliver subject: the daemon's log has their text. Shown until its next start.",
    timeToVisibleMs: 0,
    affectsReadiness: false,
  },
  "copy-foreign": {
    severity: "warning",
    title: "Foreign messages in the copy",
    text: "{count|Some} messages that the log does not have were taken out of the copy, the last on {subject|a subject of the copy}.",
    whatToDo:
      "Find the program on this node that names cim.log.… as reply or deliver subject. Shown until the agent's next start.",
    timeToVisibleMs: 0,
    affectsReadiness: false,
  },
  "coordinator-not-leading": {
    severity: "info",
    title: "Not leading",
    text: "This coordinator does not lead; {leader|another} does.",
    whatToDo: "Nothing while another leads. If none does, read both logs.",
    timeToVisibleMs: 2_000,
    affectsReadiness: true,
    dependsOn: ["server-down"],
  },
  lagging: {
    severity: "info",
    title: "Lagging",
    text: "{origin|A node} is {events|some} events ({seconds|some} s) behind.",
    whatToDo: "Nothing while it shrinks; it catches up by itself.",
    timeToVisibleMs: 10_000,
    affectsReadiness: false,
    dependsOn: ["link-down", "server-down", "stalled"],
  },
  stalled: {
    severity: "error",
    title: "Stalled",
    text: "Events of {origin|a node} wait, the link is up, and nothing moves{reason|}.",
    whatToDo: "Read the log of that node's daemon; restarting the daemon is safe.",
    timeToVisibleMs: 15_000,
    affectsReadiness: false,
    dependsOn: ["link-down", "hub-unreachable", "server-down"],
  },
  diverged: {
    severity: "error",
    title: "Diverged",
    text: "{what|A node} has not what the log has{where|}{side|}.",
    whatToDo:
      "cim verify --deep names the events. A copy can be filled again: cim verify --repair <node>. For the log there is the outbox of the event's origin, every other copy, and your backup.",
    timeToVisibleMs: 0,
    affectsReadiness: false,
  },
  "outbox-rolled-back": {
    severity: "warning",
    title: "Outbox restored or recreated",
    text: "The outbox is not the one that was shipped before: it goes on as incarnation {incarnation|of its own}; what the log has of the old one stays.",
    whatToDo: "If nobody restored or deleted it, look at the disk: acknowledged events may be gone from it.",
    timeToVisibleMs: 0,
    affectsReadiness: false,
  },
  "outbox-gap": {
    severity: "error",
    title: "Events missing from the outbox",
    text: "Events were deleted from the outbox before the log had them.",
    whatToDo: "Find out who deleted them; they are on no other node. Shipping went on behind the gap.",
    timeToVisibleMs: 0,
    affectsReadiness: false,
  },
  "log-went-back": {
    severity: "error",
    title: "Log restored to an older state",
    text: "The hub's log ends at {now|an older position}, though it had been at {before|a later one}.",
    whatToDo: "Let it refill from outboxes and copies; what none of them has is named as a log-hole.",
    timeToVisibleMs: 0,
    affectsReadiness: false,
  },
  "log-hole": {
    severity: "error",
    title: "Events lost from the log",
    text: "The log lacks events of this node that its outbox no longer holds, and its copy can't supply them.",
    whatToDo:
      "Bring back a node or a backup that has them, or accept the hole by name: cim events accept-hole.",
    timeToVisibleMs: 0,
    affectsReadiness: false,
  },
  "copy-diverged": {
    severity: "warning",
    title: "Copy had other events",
    text: "The copy held {events|some} events beyond {position|a position} that the log does not have; they were put aside and replaced by the log's.",
    whatToDo: "Nothing, if the log was restored or a hub was replaced; else find out why.",
    timeToVisibleMs: 0,
    affectsReadiness: false,
  },
  "copy-lost": {
    severity: "warning",
    title: "Copy was empty",
    text: "The copy was empty though the log knows this node: it was deleted, or its store is another one. It is filled anew from the log.",
    whatToDo: "Nothing; look why it went if nobody deleted it. Shown until the agent's next start.",
    timeToVisibleMs: 0,
    affectsReadiness: false,
  },
  "copy-behind-log-start": {
    severity: "warning",
    title: "Copy too far behind",
    text: "The copy ends at {position|a position} that the log no longer keeps; it is filled anew from the log's start.",
    whatToDo: "Nothing; raise log.retentionDays if nodes stay away for longer.",
    timeToVisibleMs: 0,
    affectsReadiness: false,
  },
  "refused-events": {
    severity: "warning",
    title: "Events refused",
    text: "{count|Some} events were refused by the sequencer ({reason|see CIM_REFUSED}); they are kept in CIM_REFUSED.",
    whatToDo: "Read CIM_REFUSED on the origin: each event is there with its reason.",
    timeToVisibleMs: 0,
    affectsReadiness: false,
  },
  "contracts-differ": {
    severity: "error",
    title: "Contracts differ",
    text: "{node|A node} has other contracts than this hub ({theirs|other ones}, not {own|the hub's}): it may let in what the log refuses, or come to other states.",
    whatToDo:
      "Give {node|the node} and the hub the same contracts, sync.mode and sync.conflictResolution, and the same files as modules, and reload both; check-contracts shows the hash of a file.",
    timeToVisibleMs: 5_000,
    affectsReadiness: false,
  },
  "duplicate-name": {
    severity: "error",
    title: "Two nodes of one name",
    text: 'Two nodes call themselves "{node|the same}".',
    whatToDo:
      "Give one of them another name in its configuration; they push each other off the link until then.",
    timeToVisibleMs: 0,
    affectsReadiness: true,
  },
  "discovery-outage": {
    severity: "warning",
    title: "Discovery is blind",
    text: "Nodes can't be looked for with {source|a source}: {reason|it does not answer}. What it listed last counts ({count|some} nodes).",
    whatToDo:
      "Look at the source, and at the keys of discovery that say where it is; it is asked again by itself.",
    timeToVisibleMs: 2_000,
    affectsReadiness: false,
  },
  "hubs-not-moved": {
    severity: "warning",
    title: "Link not moved",
    text: "The link should go to {hubs|another hub}, but nats-server does not dial it: {reason|see the log}.",
    whatToDo:
      "Give nats.configFolder the folder of the running nats-server.conf, writable for the agent; if that is older than the agent, run write-nats-config. It is tried again by itself.",
    timeToVisibleMs: 2_000,
    affectsReadiness: false,
    dependsOn: ["server-down"],
  },
  "discovery-shrunk": {
    severity: "warning",
    title: "Discovery lists far fewer nodes",
    text: "{source|A source} no longer lists {missing|many} of {known|the} nodes that it listed; they are kept while links or heartbeats speak for them, and for some minutes at least.",
    whatToDo:
      "If they are gone, nothing. Else look at what the source lists: it is taken for broken until then.",
    timeToVisibleMs: 0,
    affectsReadiness: false,
  },
  "discovery-unusable": {
    severity: "warning",
    title: "Discovery lists what can't be used",
    text: "{source|A source} lists what can't be used and was left out: {first|see /api/v1/discovery}.",
    whatToDo: "Correct the entry where it is kept; /api/v1/discovery has the others.",
    timeToVisibleMs: 0,
    affectsReadiness: false,
  },
  "state-poisoned": {
    severity: "warning",
    title: "Events set aside",
    text: "{count|Some} events are in no state, as they can't be folded{last|}.",
    whatToDo:
      "cim state status lists them with the reasons. They stay in the log: correct what they were to say by new events, or the domain's contract and its module.",
    timeToVisibleMs: 0,
    affectsReadiness: false,
  },
  "state-fenced": {
    severity: "error",
    title: "Another daemon writes the states",
    text: "States are no longer folded here: {other|another run of a daemon writes them}.",
    whatToDo:
      "If two daemons run on this node, end one of them. This one folds again when it is started anew.",
    timeToVisibleMs: 0,
    affectsReadiness: false,
  },
  "state-stalled": {
    severity: "error",
    title: "States are not folded",
    text: "States stay as they are, and are tried again by themselves: {error|see the daemon's log}.",
    whatToDo:
      "Where the store takes nothing: raise nats.maxFile, keep states of fewer domains (state.domains), or free space on the disk. Where a contract's module can't be used, put it right.",
    timeToVisibleMs: 5_000,
    affectsReadiness: false,
    dependsOn: ["server-down", "disk-full"],
  },
  "state-incomplete": {
    severity: "warning",
    title: "States lack old events",
    text: "States may lack what happened before {index|an index} in the log, where it begins here; no hub had states of that.",
    whatToDo:
      "On a leaf, keep states on the hub too (state.enabled there), then cim state rebuild here. On the hub, events that retention let go of are gone: values that matter can be written again.",
    timeToVisibleMs: 0,
    affectsReadiness: false,
  },
  "state-rebuilding": {
    severity: "info",
    title: "States are folded anew",
    text: "The states of {domains|all domains} are folded anew{why|}; the present ones can be read meanwhile.",
    whatToDo: "Nothing; cim state status shows how far it is.",
    timeToVisibleMs: 5_000,
    affectsReadiness: false,
  },
  "state-waits-for-hub": {
    severity: "info",
    title: "States wait for the hub",
    text: "The log begins behind events that states here need; the hub's states are taken over as soon as they are far enough.",
    whatToDo: "Nothing while it does not last. Else look at the link, and at the hub's own states.",
    timeToVisibleMs: 5_000,
    affectsReadiness: false,
  },
  "clock-skewed": {
    severity: "warning",
    title: "Clock differs",
    text: "The clock differs from the hub's by {seconds|some} s.",
    whatToDo: "Run a time service; order and delivery do not depend on it, last-write-wins does.",
    timeToVisibleMs: 10_000,
    affectsReadiness: false,
  },
});

export type ConditionCode = keyof typeof CONDITIONS;
