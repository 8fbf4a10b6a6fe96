import { type ChildProcess, spawn } from "node:child_process";
import { once } from "node:events";
import { existsSync } from "node:fs";
import { writeFile } from "node:fs/promises";
import { delimiter, join } from "node:path";
import { expect, it } from "vitest";
import { DnsSource } from "../../shared/discovery/dns/dns-source.ts";
import type { Report } from "../../shared/discovery/source.ts";
import { eventually } from "../support/eventually.ts";
import { freePort } from "../support/free-port.ts";
import { withTempDir } from "../support/temp-dir.ts";

const DNSMASQ = [...(process.env.PATH ?? "").split(delimiter), "/usr/sbin"]
  .map((folder) => join(folder, "dnsmasq"))
  .find((path) => existsSync(path));

const SERVICE = "_nats._tcp.cim.test";

/** dnsmasq with the records, until it is killed. */
async function startDnsmasq(folder: string, port: number, lines: readonly string[]): Promise<ChildProcess> {
  const file = join(folder, "dnsmasq.conf");
  const common = [
    "no-resolv",
    "no-hosts",
    "bind-interfaces",
    "listen-address=127.0.0.1",
    "local=/cim.test/",
    "local-ttl=1",
  ];
  await writeFile(file, [...common, `port=${port}`, ...lines, ""].join("\n"));
  const user = process.getuid?.() === 0 ? ["--user=root"] : [];
  const args = ["--keep-in-foreground", `--conf-file=${file}`, "--pid-file", ...user];
  return spawn(DNSMASQ as string, args, { stdio: "ignore" });
}

async function stop(process: ChildProcess): Promise<void> {
  if (process.exitCode !== null || process.signalCode !== null) return;
  const ended = once(process, "exit");
  process.kill("SIGKILL");
  await ended;
}

it.skipIf(DNSMASQ === undefined)(
  "what a real dnsmasq serves: nodes, a change, its death and return",
  async () => {
    await withTempDir(async (folder) => {
      const port = await freePort();
      const a = [
        `srv-host=${SERVICE},leaf-a.cim.test,4222`,
        "host-record=leaf-a.cim.test,127.0.0.21",
        'txt-record=leaf-a.cim.test,region=eu,"capabilities=gpu,ssd"',
      ];
      const b = [`srv-host=${SERVICE},leaf-b.cim.test,4223`, "host-record=leaf-b.cim.test,127.0.0.22"];
      const nodeA = {
        name: "leaf-a",
        url: "nats://127.0.0.21:4222",
        region: "eu",
        capabilities: ["gpu", "ssd"],
      };
      const nodeB = { name: "leaf-b", url: "nats://127.0.0.22:4223" };
      const reports: Report[] = [];
      const lists = (nodes: readonly object[]) =>
        eventually(() => {
          const last = reports.at(-1);
          expect(
            last?.kind === "listing" && [...last.nodes].sort((x, y) => (x.name < y.name ? -1 : 1)),
          ).toEqual(nodes);
          return true;
        });
      let server = await startDnsmasq(folder, port, a);
      try {
        await using source = new DnsSource({
          onReport: (one) => void reports.push(one),
          dnsQuery: SERVICE,
          dnsServers: [`127.0.0.1:${port}`],
        });
        source.start();
        await lists([nodeA]);
        await stop(server);
        await eventually(() => reports.at(-1)?.kind === "outage");
        server = await startDnsmasq(folder, port, [...a, ...b]);
        await lists([nodeA, nodeB]);
      } finally {
        await stop(server);
      }
    });
  },
);
