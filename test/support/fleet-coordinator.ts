import { mkdir, readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { daemonCommand } from "../../lab/daemon-command.ts";
import { LabProcess } from "../../lab/process.ts";
import { eventually } from "./eventually.ts";
import type { Fleet } from "./fleet.ts";
import { freePort } from "./free-port.ts";

/** A second coordinator on the fleet's hub: another folder and HTTP port, the same server and seeds. */
export class SecondCoordinator implements AsyncDisposable {
  readonly httpUrl: string;
  readonly process: LabProcess;

  private constructor(httpUrl: string, process: LabProcess) {
    this.httpUrl = httpUrl;
    this.process = process;
  }

  /** Returns when it is alive; whether it leads is another question. */
  static async start(fleet: Fleet): Promise<SecondCoordinator> {
    const { paths } = fleet.hub;
    const document = JSON.parse(await readFile(paths.config, "utf8"));
    const dataDir = join(fleet.dir, "second");
    await mkdir(dataDir, { recursive: true, mode: 0o700 });
    const http = `127.0.0.1:${await freePort()}`;
    const seeds = {
      agentSeedFile: join(paths.data, "agent.nk"),
      sysSeedFile: join(paths.data, "sys.nk"),
      storeDir: paths.store,
    };
    const config = join(dataDir, "config.json");
    await writeFile(
      config,
      JSON.stringify({ ...document, dataDir, http, nats: { ...document.nats, ...seeds } }),
    );
    const process = await LabProcess.start({
      label: "the second coordinator",
      command: daemonCommand("hub", config),
      cwd: dataDir,
      env: globalThis.process.env,
      logFile: join(dataDir, "daemon.log"),
    });
    const second = new SecondCoordinator(`http://${http}`, process);
    await eventually(
      async () => {
        if (process.end) throw new Error((await process.lastLines(5)).join("\n"));
        return (await fetch(`${second.httpUrl}/healthz`)).ok;
      },
      { what: "the second coordinator" },
    );
    return fleet.use(second);
  }

  async [Symbol.asyncDispose](): Promise<void> {
    await this.process.kill();
  }
}
