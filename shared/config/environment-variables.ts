/** What a variable's text was read as: a value for the document, or why it is none. */
export type Read =
  | { readonly ok: true; readonly value: unknown }
  | { readonly ok: false; readonly problem: string };

/** A `CIM_*` variable that overrides one key of the document. */
export interface Variable {
  readonly name: string;
  readonly path: readonly string[];
  /** What to write, ready to follow the word "write". */
  readonly write: string;
  read(text: string): Read;
}

const text = (value: string): Read =>
  value === "" ? { ok: false, problem: "which is empty" } : { ok: true, value };

const number = (value: string): Read =>
  /^-?\d+(\.\d+)?$/.test(value) ? { ok: true, value: Number(value) } : { ok: false, problem: "not a number" };

const boolean = (value: string): Read => {
  if (/^(true|1)$/i.test(value)) return { ok: true, value: true };
  if (/^(false|0)$/i.test(value)) return { ok: true, value: false };
  return { ok: false, problem: "not true or false" };
};

const split = (value: string): string[] =>
  value
    .split(",")
    .map((part) => part.trim())
    .filter((part) => part !== "");

const list = (value: string): Read => ({ ok: true, value: split(value) });

const nonEmptyList = (value: string): Read =>
  split(value).length === 0 ? { ok: false, problem: "which names none" } : list(value);

const jsonList = (value: string): Read => {
  try {
    const parsed: unknown = JSON.parse(value);
    return Array.isArray(parsed) ? { ok: true, value: parsed } : { ok: false, problem: "not a JSON list" };
  } catch {
    return { ok: false, problem: "not JSON" };
  }
};

const addressOrOff = (value: string): Read =>
  /^(off|null|none)$/i.test(value) ? { ok: true, value: null } : text(value);

const variable = (name: string, path: string, read: Variable["read"], write: string): Variable => ({
  name,
  path: path.split("."),
  read,
  write,
});

/** Every override there is. Those up to CIM_AUDIT_RETENTION are named by the guide; the rest are ours. */
export const VARIABLES: readonly Variable[] = [
  variable("CIM_NATS_URL", "nats.url", text, "nats://127.0.0.1:4222"),
  variable("CIM_LOG_LEVEL", "logLevel", text, "error, warn, info, debug or trace"),
  variable(
    "CIM_DISCOVERY_METHOD",
    "discovery.methods",
    nonEmptyList,
    "static, dns, consul or kubernetes, or several with commas",
  ),
  variable(
    "CIM_STATIC_NODES",
    "discovery.staticNodes",
    jsonList,
    '[{"name":"leaf1","url":"nats://10.0.0.2:4222"}]',
  ),
  variable("CIM_DNS_QUERY", "discovery.dnsQuery", text, "_nats._tcp.cim.local"),
  variable(
    "CIM_ROUTING_STRATEGY",
    "routing.strategy",
    text,
    "round-robin, least-loaded, location-aware or capability-based",
  ),
  variable("CIM_HEALTH_INTERVAL", "health.intervalS", number, "a number of seconds, as 30"),
  variable(
    "CIM_HEALTH_TIMEOUT",
    "health.timeoutS",
    number,
    "a number of seconds, less than the interval, as 5",
  ),
  variable("CIM_HEALTH_RETRIES", "health.retries", number, "a whole number, as 3"),
  variable("CIM_SYNC_ENABLED", "sync.enabled", boolean, "true or false"),
  variable("CIM_SYNC_MODE", "sync.mode", text, "eventual or strong"),
  variable(
    "CIM_CONFLICT_RESOLUTION",
    "sync.conflictResolution",
    text,
    "last-write-wins, vector-clock or crdt",
  ),
  variable("CIM_SNAPSHOT_INTERVAL", "snapshotInterval", number, "a whole number of events, as 100"),
  variable("CIM_CACHE_SIZE", "cacheSize", number, "a whole number of aggregates, as 1000"),
  variable("CIM_AUDIT_EVENTS", "audit.events", list, "names with commas, as authentication,commands"),
  variable("CIM_AUDIT_RETENTION", "audit.retentionDays", number, "a number of days, as 90"),
  variable("CIM_HTTP", "http", addressOrOff, "127.0.0.1:9464, or off"),
  variable("CIM_DNS_SERVERS", "discovery.dnsServers", nonEmptyList, "host:port, or several with commas"),
  variable("CIM_CONSUL_ADDR", "discovery.consulAddr", text, "127.0.0.1:8500"),
];

/** Variables of this name family that mean something elsewhere (our own tools, the guide's services): no typos. */
export const FOREIGN_VARIABLES: ReadonlySet<string> = new Set([
  "CIM_NATS_SERVER",
  "CIM_DIR",
  "CIM_NODE",
  "CIM_CONFIG",
  "CIM_SERVER",
  "CIM_HTTP_TOKEN",
  "CIM_HTTP_TOKEN_FILE",
  "CIM_NATS_SEED_FILE",
  "CIM_NATS_USER",
  "CIM_NATS_PASSWORD_FILE",
  "CIM_NATS_PASSWORD",
  "CIM_EVENT_BACKEND",
  "CIM_PROJECTIONS_ENABLED",
  "CIM_VALIDATION_ENABLED",
  "CIM_SCHEMA_PATH",
  "CIM_DOMAIN_NAME",
  "CIM_DOMAIN_CONFIG",
  "CIM_DEV_MODE",
  "CIM_PRODUCTION",
  "CIM_SECURITY_ENABLED",
  "CIM_CLUSTER_PASSWORD",
  "CIM_EVENTS_PASSWORD",
  "CIM_COMMANDS_PASSWORD",
  "CIM_QUERIES_PASSWORD",
  "CIM_SAGAS_PASSWORD",
]);
