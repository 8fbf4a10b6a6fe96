/** The least that a leaf's document says. */
export const leaf = {
  node: "leaf1",
  role: "leaf",
  dataDir: "/var/lib/cim/leaf1",
  nats: { hubs: ["nats-leaf://10.0.0.1:7422"] },
};

/** The least that a hub's document says. */
export const hub = { node: "hub", role: "hub", dataDir: "/var/lib/cim/hub" };
