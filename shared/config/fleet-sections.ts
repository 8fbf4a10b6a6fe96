import * as z from "zod";
import { key } from "./described-key.ts";
import { isMulticastGroup } from "./local-name.ts";
import { capabilitiesKey, regionKey } from "./replication-sections.ts";
import { absolutePath, dialAddress, label, nodeName, url } from "./value-kinds.ts";

/** Sections about knowing and choosing nodes, and what the guide's environment variables name besides replication. */

const staticNode = z.strictObject({
  name: key(nodeName, { what: "The node's name.", write: 'the node\'s name, as "leaf1"' }),
  url: key(url("nats", "tls", "ws", "wss", "http", "https"), {
    what: "Where the node can be probed.",
    write: 'a URL, as "nats://10.0.0.2:4222"',
  }),
  region: regionKey,
  capabilities: capabilitiesKey,
  leafUrl: key(url("nats-leaf", "nats", "tls", "ws", "wss").optional(), {
    what: "Of a hub: where leaves link to it.",
    write: 'a URL, as "nats-leaf://10.0.0.1:7422"',
  }),
});

/** Where every pod has what it may ask the API server with. */
const SERVICE_ACCOUNT = "/var/run/secrets/kubernetes.io/serviceaccount";

export const discoverySection = z.strictObject({
  methods: key(
    z
      .array(z.enum(["static", "dns", "consul", "kubernetes"]))
      .min(1)
      .max(4)
      .default(["static"]),
    {
      what: "Where nodes are looked for, all at once. static: staticNodes. The leaves of this document and nodes that connect are always known.",
      write: 'a list of "static", "dns", "consul", "kubernetes"',
    },
  ),
  staticNodes: key(z.array(staticNode).max(10_000).default([]), {
    what: "Nodes known beforehand.",
    write: 'a list of {"name", "url", "region", "capabilities"}',
  }),
  dnsQuery: key(
    z
      .string()
      .regex(/^_[a-z0-9-]{1,62}\._(tcp|udp)(\.[A-Za-z0-9-]{1,63})+\.?$/, "must be the name of SRV records")
      .max(160, "must be shorter: names of nodes are put before it")
      .default("_nats._tcp.cim.local"),
    {
      what: "Name of the SRV records that list the nodes (method dns). In .local and without dnsServers it is asked by multicast.",
      write: '"_nats._tcp.cim.local"',
    },
  ),
  dnsServers: key(z.array(dialAddress).max(8).default([]), {
    what: "host:port of the DNS servers to ask; empty: the machine's own, and for names in .local everybody on the network.",
    write: 'a list of host:port, as ["127.0.0.1:53"]',
  }),
  mdnsInterfaces: key(z.array(z.ipv4("must be an IPv4 address")).max(8).default([]), {
    what: "IPv4 addresses of this machine on whose networks multicast DNS is spoken; empty: all but loopback.",
    write: 'a list of IPv4 addresses, as ["10.0.0.1"]',
  }),
  mdnsGroup: key(
    z
      .string()
      .refine(isMulticastGroup, "must be host:port with a multicast address (224.0.0.0 to 239.255.255.255)")
      .default("224.0.0.251:5353"),
    {
      what: "Multicast address and port of multicast DNS; another than the standard's is heard by cim alone.",
      write: '"224.0.0.251:5353"',
    },
  ),
  mdnsAnnounce: key(z.boolean().default(false), {
    what: "Announces this node itself by multicast DNS, under dnsQuery, which has to end in .local.",
    write: "true or false",
  }),
  consulAddr: key(
    z.union([dialAddress, url("http", "https")], "must be host:port or a URL").default("127.0.0.1:8500"),
    {
      what: "Address of the Consul agent (method consul).",
      write: '"127.0.0.1:8500"',
    },
  ),
  consulService: key(label.default("cim"), {
    what: "The service in Consul's catalogue that lists the nodes.",
    write: 'the name of a service, as "cim"',
  }),
  consulDatacenter: key(label.nullable().default(null), {
    what: "Consul's datacenter to look into; null: that of the agent.",
    write: 'the name of a datacenter, as "dc1", or null',
  }),
  consulTokenFile: key(absolutePath.nullable().default(null), {
    what: "File with the ACL token for Consul, read for each question; null: none.",
    write: "an absolute path, or null",
  }),
  consulRegister: key(z.boolean().default(false), {
    what: "Enters this node itself into Consul's catalogue, as consulService.",
    write: "true or false",
  }),
  kubernetesUrl: key(url("https", "http").default("https://kubernetes.default.svc"), {
    what: "Kubernetes' API server (method kubernetes); the default is right in every pod.",
    write: '"https://kubernetes.default.svc"',
  }),
  kubernetesNamespace: key(label.default("default"), {
    what: "Namespace of the EndpointSlices.",
    write: 'the name of a namespace, as "default"',
  }),
  kubernetesSelector: key(
    z
      .string()
      .regex(/^[^\s,]+(,[^\s,]+)*$/, "must be a label selector")
      .default("kubernetes.io/service-name=cim"),
    {
      what: "Label selector of the EndpointSlices that list the nodes.",
      write: 'a label selector, as "kubernetes.io/service-name=cim"',
    },
  ),
  kubernetesTokenFile: key(absolutePath.nullable().default(`${SERVICE_ACCOUNT}/token`), {
    what: "File with the token for Kubernetes, read for each question; null: none.",
    write: "an absolute path, or null",
  }),
  kubernetesCaFile: key(absolutePath.nullable().default(`${SERVICE_ACCOUNT}/ca.crt`), {
    what: "File with the certificates that Kubernetes' API server is judged by; null: the system's.",
    write: "an absolute path, or null",
  }),
});

export const routingSection = z.strictObject({
  strategy: key(
    z.enum(["round-robin", "least-loaded", "location-aware", "capability-based"]).default("round-robin"),
    {
      what: "How a leaf is chosen among those that fit a command.",
      write: '"round-robin", "least-loaded", "location-aware" or "capability-based"',
    },
  ),
  maxLagS: key(z.number().positive().max(86_400).nullable().default(60), {
    what: "Commands do not go to a leaf whose copy lags more, seconds; null: lag does not matter.",
    write: "a number of seconds, as 60, or null",
  }),
});

export const healthSection = z.strictObject({
  intervalS: key(z.number().positive().max(3600).default(30), {
    what: "Time between two looks at a node that is well, at its server and its url, seconds. One that is suspected is asked at once.",
    write: "a number of seconds from above 0 to 3600, as 30",
  }),
  timeoutS: key(z.number().positive().max(600).default(5), {
    what: "How long an answer may take, seconds; less than intervalS.",
    write: "a number of seconds, less than health.intervalS, as 5",
  }),
  retries: key(z.int().min(0).max(100).default(3), {
    what: "How often in a row a node's host must refuse the probe before its server is taken for down, or the server must give no answer before it is doubted.",
    write: "a whole number from 0 to 100, as 3",
  }),
});

export const auditSection = z.strictObject({
  events: key(z.array(label).max(64).default([]), {
    what: "Kinds of event that are audited; none by default.",
    write: 'a list, as ["authentication", "authorization", "commands", "configuration"]',
  }),
  retentionDays: key(z.number().positive().max(36_500).default(90), {
    what: "How long audit records are kept, days.",
    write: "a number of days, as 90",
  }),
});
