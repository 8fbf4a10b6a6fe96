import { spawnSync } from "node:child_process";
import { readFile, writeFile } from "node:fs/promises";
import { join } from "node:path";
import { describe, expect, it } from "vitest";
import { KubernetesSource } from "../../shared/discovery/kubernetes/kubernetes-source.ts";
import { eventually } from "../support/eventually.ts";
import { KubernetesApi, sliceOf } from "../support/kubernetes-api.ts";
import { sourceCompliance } from "../support/source-compliance.ts";
import { withTempDir } from "../support/temp-dir.ts";
import { watchSource } from "../support/watched-source.ts";

const PLACE = {
  kubernetesNamespace: "default",
  kubernetesSelector: "kubernetes.io/service-name=cim",
  kubernetesTokenFile: null,
  kubernetesCaFile: null,
};
const A = { name: "leaf-a", url: "nats://127.0.0.21:4222", region: "eu", capabilities: ["gpu", "ssd"] };
const B = { name: "leaf-b", url: "nats://127.0.0.22:4223" };

sourceCompliance("Kubernetes", {
  canFail: true,
  canListAnything: true,
  async start() {
    const api = await KubernetesApi.start();
    return {
      list: async (nodes) => api.list(nodes),
      open: (init) => new KubernetesSource({ ...init, ...PLACE, kubernetesUrl: api.url }),
      fail: () => api.stop(),
      recover: () => api.listen(),
      listWrongName: async () => api.put(sliceOf({ name: "Not a node" })),
      [Symbol.asyncDispose]: () => api[Symbol.asyncDispose](),
    };
  },
});

function look(api: KubernetesApi, more: Partial<ConstructorParameters<typeof KubernetesSource>[0]> = {}) {
  const how = { ...PLACE, kubernetesUrl: api.url, ...more };
  return watchSource((init) => new KubernetesSource({ ...init, ...how }), { inOrder: true });
}

const lists = (api: KubernetesApi) => api.questions.filter((one) => !one.includes("watch")).length;

describe("asking Kubernetes", () => {
  it("reads the list in pages, then watches from where it was made", async () => {
    await using api = await KubernetesApi.start();
    api.pageSize = 2;
    const nodes = ["a", "b", "c", "d", "e"].map((name) => ({ ...B, name: `leaf-${name}` }));
    api.list(nodes);
    await using seen = look(api);
    await seen.lists(nodes);
    await eventually(() => api.watchers === 1);
    expect(api.questions).toEqual([
      "limit=100",
      "limit=100&continue=2",
      "limit=100&continue=4",
      "watch=1&resourceVersion=1005&allowWatchBookmarks=true&timeoutSeconds=60",
    ]);
  });

  it("goes on where a watch ended, by the last event or bookmark, without a list", async () => {
    await using api = await KubernetesApi.start();
    api.list([A]);
    await using seen = look(api);
    await seen.lists([A]);
    await eventually(() => api.watchers === 1);
    api.bookmark();
    api.bookmark();
    api.endWatches();
    await eventually(() => api.questions.at(-1)?.includes("resourceVersion=1003"));
    await eventually(() => api.watchers === 1);
    api.endWatches();
    await eventually(() => api.watchers === 0);
    // It happens between two watches.
    api.list([A, B]);
    await seen.lists([A, B]);
    expect(lists(api)).toBe(1);
    expect(seen.reports.every(({ kind }) => kind === "listing")).toBe(true);
  });

  it.each([
    ["within a watch", true],
    ["as the answer to one", false],
  ])("lists anew what the server no longer remembers, said %s", async (_, told) => {
    await using api = await KubernetesApi.start();
    api.list([A]);
    await using seen = look(api);
    await seen.lists([A]);
    await eventually(() => api.watchers === 1);
    api.compact(told);
    api.list([B]);
    await seen.lists([B]);
    expect(lists(api)).toBeGreaterThan(1);
    expect(seen.reports.every(({ kind }) => kind === "listing")).toBe(true);
  });

  it("reads the token anew for each question, and trusts by the given certificates", async (context) => {
    await withTempDir(async (folder) => {
      const [key, cert] = [join(folder, "key.pem"), join(folder, "cert.pem")];
      const args = [
        "req",
        "-x509",
        "-newkey",
        "ec",
        "-pkeyopt",
        "ec_paramgen_curve:P-256",
        "-nodes",
        "-days",
        "2",
      ];
      const subject = ["-subj", "/CN=127.0.0.1", "-addext", "subjectAltName=IP:127.0.0.1"];
      const { error } = spawnSync("openssl", [...args, ...subject, "-keyout", key, "-out", cert], {
        stdio: "ignore",
      });
      if (error) return context.skip("no openssl here, to make a certificate");
      await using api = await KubernetesApi.start({
        key: await readFile(key, "utf8"),
        cert: await readFile(cert, "utf8"),
      });
      api.list([A]);
      api.token = "secret-1";
      await using stranger = look(api);
      await stranger.isOut(/self-signed certificate/);
      const kubernetesTokenFile = join(folder, "token");
      await using seen = look(api, { kubernetesTokenFile, kubernetesCaFile: cert });
      await seen.isOut(/no such file or directory.*token/);
      await writeFile(kubernetesTokenFile, "secret-0\n");
      await seen.isOut(/answers 401: Unauthorized/);
      await writeFile(kubernetesTokenFile, "secret-1\n");
      await seen.lists([A]);
      // The cluster replaces it; the file is renewed with it.
      api.token = "secret-2";
      await writeFile(kubernetesTokenFile, "secret-2\n");
      api.endWatches();
      api.list([A, B]);
      await seen.lists([A, B]);
      expect(JSON.stringify(seen.reports)).not.toContain("secret");
    });
  });

  it("names a namespace it may not look into, and who is no API server", async () => {
    await using api = await KubernetesApi.start();
    api.list([A]);
    await using elsewhere = look(api, { kubernetesNamespace: "kube-system" });
    await elsewhere.isOut(/answers 403: endpointslices is forbidden/);
    for (const garbage of ["<html>", "{}", "null", '{"metadata":{"resourceVersion":"1"},"items":[{}]}']) {
      api.garbage = garbage;
      await using here = look(api);
      await here.isOut(/^Kubernetes at http/);
      api.garbage = undefined;
      await here.lists([A]);
    }
  });
});
