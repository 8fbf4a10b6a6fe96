import packageJson from "../../package.json" with { type: "json" };

/** Version of this build, as in package.json (taken into a bundle when one is made). */
export const VERSION: string = packageJson.version;
