import { execFileSync, spawn } from "node:child_process";
import { once } from "node:events";
import { writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { ConsulRegistration } from "../../shared/discovery/consul/consul-registration.ts";
import { ConsulSource } from "../../shared/discovery/consul/consul-source.ts";
import { createLog } from "../../shared/observe/log.ts";
import { ConsulAgent, listInConsul } from "../support/consul-agent.ts";
import { eventually } from "../support/eventually.ts";
import { freePorts } from "../support/free-port.ts";
import { type Backend, sourceCompliance } from "../support/source-compliance.ts";
import { tempDir, withTempDir } from "../support/temp-dir.ts";
import { watchSource } from "../support/watched-source.ts";

const PLACE = { consulService: "cim", consulDatacenter: null, consulTokenFile: null };
const A = { name: "leaf-a", url: "nats://127.0.0.21:4222", region: "eu", capabilities: ["gpu", "ssd"] };
const B = { name: "leaf-b", url: "nats://127.0.0.22:4223" };

sourceCompliance("Consul", {
  canFail: true,
  canListAnything: true,
  async start(): Promise<Backend> {
    const agent = await ConsulAgent.start();
    const listed = new Set<string>();
    let isDown = false;
    return {
      async list(nodes) {
        // What is listed while it is down is what it finds when it comes back.
        if (isDown) await agent.listen();
        await listInConsul(agent.address, nodes, listed);
        if (isDown) await agent.stop();
      },
      open: (init) => new ConsulSource({ ...init, ...PLACE, consulAddr: agent.address }),
      async fail() {
        isDown = true;
        await agent.stop();
      },
      async recover() {
        isDown = false;
        await agent.listen();
      },
      async listWrongName() {
        const body = JSON.stringify({ ID: "wrong", Name: "cim", Port: 1, Meta: { node: "Not a node" } });
        await fetch(`http://${agent.address}/v1/agent/service/register`, { method: "PUT", body });
      },
      [Symbol.asyncDispose]: () => agent[Symbol.asyncDispose](),
    };
  },
});

if (process.env.CONSUL_BIN) {
  sourceCompliance("a real Consul (CONSUL_BIN)", {
    start: () => startConsul(process.env.CONSUL_BIN as string),
  });

  it("a real Consul (CONSUL_BIN) enters a node with a check that can be renewed, and takes it out", async () => {
    await using consul = await startConsul(process.env.CONSUL_BIN as string);
    const checks = async () => {
      const answer = await fetch(`http://${consul.address}/v1/health/checks/cim`);
      const known = (await answer.json()) as { CheckID: string; Status: string }[];
      return known.map(({ CheckID, Status }) => `${CheckID} ${Status}`).join();
    };
    const registration = new ConsulRegistration({
      region: "eu",
      capabilities: ["gpu"],
      natsUrl: "nats://127.0.0.27:4227",
      leafListen: null,
      role: "leaf",
      place: { ...PLACE, consulAddr: consul.address },
      service: "cim",
      node: "leaf7",
      log: createLog({ name: "test", level: "error", node: "leaf7" }),
    }).start();
    await eventually(async () => (await checks()) === "service:cim-leaf7 passing");
    // As it is done every ten seconds.
    const renewed = await fetch(`http://${consul.address}/v1/agent/check/pass/service:cim-leaf7`, {
      method: "PUT",
    });
    expect(renewed.status).toBe(200);
    await registration.withdraw();
    await eventually(async () => (await checks()) === "");
  });
}

/** A development agent of its own, without a disk. */
async function startConsul(binary: string): Promise<Backend & { readonly address: string }> {
  const [http = 0, serfLan = 0, serfWan = 0, server = 0] = await freePorts(4);
  const dir = await tempDir("cim-consul-");
  const ports = { http, serf_lan: serfLan, serf_wan: serfWan, server, dns: -1, grpc: -1, ...grpcTls(binary) };
  await writeFile(join(dir.path, "ports.json"), JSON.stringify({ ports }));
  const args = ["agent", "-dev", "-bind=127.0.0.1", `-config-dir=${dir.path}`];
  const consul = spawn(binary, args, { stdio: ["ignore", "ignore", "inherit"] });
  const ended = once(consul, "exit");
  const address = `127.0.0.1:${http}`;
  await Promise.race([
    eventually(async () => (await (await fetch(`http://${address}/v1/status/leader`)).text()).length > 2),
    ended.then(() => Promise.reject(new Error(`${binary} ended`))),
  ]);
  const listed = new Set<string>();
  return {
    address,
    list: (nodes) => listInConsul(address, nodes, listed),
    open: (init) => new ConsulSource({ ...init, ...PLACE, consulAddr: address }),
    async [Symbol.asyncDispose]() {
      consul.kill("SIGKILL");
      await ended;
      await dir[Symbol.asyncDispose]();
    },
  };
}

/** A port that Consul has since 1.14, and does not know before. */
function grpcTls(binary: string): { grpc_tls?: number } {
  const version = /Consul v(\d+)\.(\d+)/.exec(execFileSync(binary, ["version"], { encoding: "utf8" }));
  const [, major = "0", minor = "0"] = version ?? [];
  return Number(major) > 1 || Number(minor) >= 14 ? { grpc_tls: -1 } : {};
}

function look(agent: ConsulAgent, more: Partial<ConstructorParameters<typeof ConsulSource>[0]> = {}) {
  const how = { ...PLACE, consulAddr: agent.address, ...more };
  return watchSource((init) => new ConsulSource({ ...init, ...how }), {
    inOrder: true,
    wake: () => agent.wake(),
  });
}

describe("asking Consul", () => {
  it("waits for changes instead of asking again and again", async () => {
    await using agent = await ConsulAgent.start();
    await listInConsul(agent.address, [A], new Set());
    await using seen = look(agent);
    await seen.lists([A]);
    await eventually(() => agent.questions.length === 2);
    expect(agent.questions).toEqual(["", "index=101&wait=55s"]);
    await listInConsul(agent.address, [B], new Set());
    await seen.lists([A, B]);
    await eventually(() => agent.questions.at(-1) === "index=102&wait=55s");
  });

  it("begins anew when the index goes back, as after a restored snapshot", async () => {
    await using agent = await ConsulAgent.start();
    await listInConsul(agent.address, [A, B], new Set());
    await using seen = look(agent);
    await seen.lists([A, B]);
    await eventually(() => agent.questions.at(-1)?.startsWith("index=102"));
    agent.restore(agent.services.filter(({ ID }) => ID === "leaf-b"));
    await seen.lists([B]);
    await eventually(() => agent.questions.at(-1)?.startsWith("index=10&"));
    await listInConsul(agent.address, [A], new Set());
    await seen.lists([B, A]);
  });

  it("may be answered at once, though nothing changed", async () => {
    await using agent = await ConsulAgent.start();
    await listInConsul(agent.address, [A], new Set());
    await using seen = look(agent);
    await seen.lists([A]);
    await eventually(() => {
      agent.wake();
      return agent.questions.length > 5;
    });
    expect(seen.reports).toHaveLength(1);
  });

  it("reads the token anew for each question, and says when it is refused or not there", async () => {
    await withTempDir(async (folder) => {
      await using agent = await ConsulAgent.start();
      await listInConsul(agent.address, [A], new Set());
      agent.token = "secret-1";
      const consulTokenFile = join(folder, "token");
      await using seen = look(agent, { consulTokenFile });
      await seen.isOut(/no such file or directory.*token/);
      await writeFile(consulTokenFile, "secret-0\n");
      await seen.isOut(/answers 403: Permission denied/);
      await writeFile(consulTokenFile, "secret-1\n");
      await seen.lists([A]);
      expect(JSON.stringify(seen.reports)).not.toContain("secret");
    });
  });

  it("names an unknown datacenter, a cluster without a leader, and who is no Consul", async () => {
    await using agent = await ConsulAgent.start();
    await listInConsul(agent.address, [A], new Set());
    await using elsewhere = look(agent, { consulDatacenter: "mars" });
    await elsewhere.isOut(/answers 500: No path to datacenter/);
    await using here = look(agent, { consulDatacenter: "dc1" });
    await here.lists([A]);
    agent.hasLeader = false;
    await here.isOut(/answers 500: No cluster leader/);
    agent.hasLeader = true;
    await here.lists([A]);
    for (const garbage of ["<html>", "{}", "null", '[{"Node":1}]', '[{"Node":{"Node":"a"}}]']) {
      agent.garbage = garbage;
      await here.isOut(/does not answer as Consul does: /);
      agent.garbage = undefined;
      await here.lists([A]);
    }
  });
});

describe("registration", () => {
  const log = createLog({ name: "test", level: "error", node: "hub7" });

  it("enters a node so that the source finds it, again when the agent forgot it, and leaves it entered", async () => {
    await using agent = await ConsulAgent.start();
    const about = {
      region: "eu",
      capabilities: ["gpu"],
      natsUrl: "nats://127.0.0.27:4227",
      leafListen: "0.0.0.0:7422",
      role: "hub",
    } as const;
    const place = { ...PLACE, consulAddr: agent.address };
    await using seen = look(agent);
    {
      await using registration = new ConsulRegistration({
        ...about,
        place,
        service: "cim",
        node: "hub7",
        log,
        renewMs: 20,
      });
      registration.start();
      // Its own address is of use to nobody else: Consul's node has one.
      await seen.lists([
        {
          name: "hub7",
          url: "nats://127.0.0.1:4227",
          leafUrl: "nats-leaf://127.0.0.1:7422",
          region: "eu",
          capabilities: ["gpu"],
        },
      ]);
      await eventually(() => agent.passed.includes("service:cim-hub7"));
      agent.restore([]);
      await eventually(() => agent.services.some(({ ID }) => ID === "cim-hub7"));
      expect(agent.services[0]?.Check).toMatchObject({ TTL: "30s", Status: "passing" });
    }
    expect(agent.services).toHaveLength(1);
  });
});
