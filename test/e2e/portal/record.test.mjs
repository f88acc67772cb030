// "My record" in Chromium: a passkey takes over a record that the hospital keeps, and the page opens
// it, shows each part, and downloads it. SALUS_CLAIM is the claim code of the record, as JSON;
// SALUS_SHOTS a folder for screenshots, if they are wanted. How long opening took is printed.
import assert from "node:assert/strict";
import { existsSync, mkdtempSync, readdirSync, readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import test, { after, before } from "node:test";
import { pathToFileURL } from "node:url";
import puppeteer from "puppeteer-core";

import { look } from "./look.mjs";

const portal = process.env.SALUS_PORTAL;
const code = process.env.SALUS_CLAIM && JSON.parse(process.env.SALUS_CLAIM);
const chromium = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
const wait = { timeout: 90_000 };
const options = { skip: !chromium ? "there is no Chromium" : !code ? "SALUS_CLAIM names no record" : false };

let browser, page, core;
const faults = [];
const downloads = mkdtempSync(join(tmpdir(), "salus-record-"));

before(async () => {
  if (options.skip) return;
  const root = new URL("../../../portal/", import.meta.url);
  const { runnerImport } = await import(pathToFileURL(createRequire(new URL("package.json", root)).resolve("vite")).href);
  core = (await runnerImport(new URL("src/core/index.ts", root).pathname, { configFile: false, logLevel: "error" })).module;
  browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox", "--disable-gpu"], headless: true });
  page = await browser.newPage();
  page.on("pageerror", (e) => faults.push(`error: ${e.message}`));
  page.on("console", (m) => { if (/Content.Security|Trusted|Refused/i.test(m.text())) faults.push(m.text()); });
  await page.evaluateOnNewDocument(() => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (e) => window.violations.push(`${e.violatedDirective} ${e.blockedURI} ${e.sample}`));
  });
  await page.setExtraHTTPHeaders({ "Accept-Language": "en" });
  const cdp = await page.createCDPSession();
  await cdp.send("WebAuthn.enable");
  await cdp.send("WebAuthn.addVirtualAuthenticator", {
    options: { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
  });
  await (await browser.target().createCDPSession()).send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: downloads });
});

after(async () => browser?.close());

const press = async (name) => (await page.waitForSelector(`::-p-aria([name="${name}"][role="button"])`, wait)).click();
const heading = (text) => page.waitForFunction((t) => document.querySelector("h1")?.textContent === t, wait, text);
const part = async (name) => {
  await press(name);
  await page.waitForFunction((t) => document.querySelector(`section[aria-label="${t}"]`) !== null, wait, name);
};

const check = (name) => look(page, name, faults, { fullPage: !name.includes("timeline") });

const bytes = (s) => Uint8Array.from(Buffer.from(s, "base64"));
const text64 = (b) => Buffer.from(b).toString("base64");
const post = (path, body, type = "application/json") => page.evaluate(async (p, b, t) => {
  const r = await fetch(p, { method: "POST", headers: { "Content-Type": t }, body: t === "application/json" ? b : Uint8Array.from(atob(b), (c) => c.charCodeAt(0)) });
  if (!r.ok) throw new Error(`${p}: ${r.status} ${await r.text()}`);
  return r.json();
}, path, body, type);

test("a passkey takes over the record", options, async () => {
  await page.goto(portal, { waitUntil: "networkidle0" });
  const about = await page.evaluate(async () => (await fetch("/api/about")).json());
  const account = core.parseAccount(code.patient);
  const by = core.claimSigner(account, bytes(code.secret));
  const { createHash } = await import("node:crypto");
  const sized = (s) => core.concat(core.u64(core.utf8(s).length), core.utf8(s));
  const { nonce } = await post("/api/challenge", "{}");
  const digest = createHash("sha256").update(core.concat(core.utf8("salus/portal-claim/v1\0"), sized(about.chain), sized(about.origin), account, bytes(nonce))).digest();
  const asked = await by.sign(new Uint8Array(digest));
  const open = await post("/api/claim/start", JSON.stringify({ account: code.patient, key: core.keyText(by.key), proof: { nonce, signature: core.base64url(asked.sig) } }));
  const made = await page.evaluate(async (rp, id) => {
    const c = await navigator.credentials.create({ publicKey: { challenge: new Uint8Array(32), rp: { id: rp, name: "Salus" }, user: { id: Uint8Array.from(atob(id), (x) => x.charCodeAt(0)), name: "p", displayName: "p" }, pubKeyCredParams: [{ type: "public-key", alg: -7 }], authenticatorSelection: { residentKey: "required", userVerification: "required" } } });
    return btoa(String.fromCharCode(...new Uint8Array(c.response.attestationObject)));
  }, about.rpId, text64(account));
  const own = core.registered(bytes(made), about.rpId);
  const prepared = core.prepare("identity.claim", { patient: account, key: own.key, claimKey: by.key }, { chain: about.chain, signer: account, nonce: BigInt(open.nonce), expiry: BigInt(open.height) + 100n });
  const assertion = await page.evaluate(async (rp, challenge) => {
    const { response: r } = await navigator.credentials.get({ publicKey: { challenge: Uint8Array.from(atob(challenge), (x) => x.charCodeAt(0)), rpId: rp, userVerification: "required" } });
    const out = (b) => btoa(String.fromCharCode(...new Uint8Array(b)));
    return { authenticatorData: out(r.authenticatorData), clientDataJSON: out(r.clientDataJSON), signature: out(r.signature) };
  }, about.rpId, text64(prepared.id));
  const s = core.signatureOf(account, own.key, prepared.id, { authenticatorData: bytes(assertion.authenticatorData), clientDataJSON: bytes(assertion.clientDataJSON), signature: bytes(assertion.signature) }, { origins: [about.origin], requireUV: true });
  const { raw } = await core.sign(prepared, { account, key: own.key, sign: async () => s }, by);
  assert.equal((await post("/api/claim", text64(raw), "application/cbor")).code, 0);
  await press("Sign in with a passkey");
  await page.waitForSelector(".views", wait);
});

test("her record is opened in her browser", options, async () => {
  await page.goto(portal + "/#/patient/record");
  await heading("My record");
  await check("record-closed");
  await page.evaluate(() => {
    window.steps = [];
    new MutationObserver(() => {
      const s = document.querySelector(".timeline, section[aria-label=Timeline]") ? "open" : document.querySelector("main [role=status]")?.textContent;
      if (s && window.steps.at(-1)?.[0] !== s) window.steps.push([s, Math.round(performance.now())]);
    }).observe(document.body, { subtree: true, childList: true, characterData: true });
  });
  await press("Open my record");
  await page.waitForFunction(() => document.querySelector("section[aria-label=Timeline]") ?? document.querySelector(".note-bad"), wait);
  const steps = await page.evaluate(() => window.steps);
  console.log(JSON.stringify(steps));
  assert.equal(await page.$(".note-bad"), null, await page.$eval("main", (m) => m.textContent));
  assert.ok(!(await page.$eval("main", (m) => m.textContent)).includes("could not be read"), "her slot map is no record that failed");
  const at = (re) => steps.find(([s]) => re.test(s))?.[1];
  const took = at(/^open$/) - at(/keys/);
  console.log(`${await page.$eval("section .hint", (e) => e.textContent)}: ${took} ms from the committed list to the view`);
  await check("record-timeline");
});

test("each part of it shows, and axe finds nothing", options, async () => {
  for (const name of ["Summary", "Problems", "Medications", "Allergies", "Immunizations", "Results", "Documents", "Search", "Download"]) {
    await part(name);
    if (name === "Search") {
      await page.type("input[type=search]", "A");
      await page.waitForSelector(".entry", wait);
    }
    await check(`record-${name.toLowerCase()}`);
  }
  await part("Timeline");
  await (await page.waitForSelector("details summary", wait)).click();
  await page.waitForSelector("details[open] .source", wait);
  await check("record-details");
});

test("a chart is walked with the arrow keys", options, async () => {
  await part("Results");
  await page.waitForSelector(".plot circle", wait);
  const before = await page.$eval(".plot figcaption strong", (e) => e.textContent);
  await page.$eval(".plot circle[tabindex='0']", (e) => e.focus());
  await page.keyboard.press("Home");
  assert.notEqual(await page.$eval(".plot figcaption strong", (e) => e.textContent), before);
  assert.equal(await page.evaluate(() => document.activeElement.tagName), "circle");
});

test("it is downloaded as a bundle and on paper", options, async () => {
  await part("Download");
  await press("Download as FHIR Bundle");
  await press("Download as PDF");
  const files = () => readdirSync(downloads).filter((f) => /^record-.*\.(json|pdf)$/.test(f));
  for (let i = 0; i < 200 && files().length < 2; i++) await new Promise((r) => setTimeout(r, 50));
  const bundle = JSON.parse(readFileSync(join(downloads, files().find((f) => f.endsWith(".json"))), "utf8"));
  assert.equal(bundle.type, "collection");
  assert.ok(bundle.entry.some((e) => e.resource.resourceType === "Patient"));
  assert.match(readFileSync(join(downloads, files().find((f) => f.endsWith(".pdf"))), "latin1"), /^%PDF-1\.4[\s\S]*%%EOF\n$/);
});

test("nothing of it is kept, and leaving the view closes it", options, async () => {
  const kept = await page.evaluate(() => JSON.stringify([{ ...localStorage }, { ...sessionStorage }, document.title, location.href]));
  assert.ok(!/Patient|Observation|Condition/.test(kept), kept);
  await page.goto(portal + "/#/network");
  await heading("The network");
  await page.goto(portal + "/#/patient/record");
  await page.waitForSelector(`::-p-aria([name="Open my record"][role="button"])`, wait);
});

test("in the same sitting it opens again without the passkey; after a lock it does not", options, async () => {
  await page.evaluate(() => {
    const get = navigator.credentials.get.bind(navigator.credentials);
    window.asked = 0;
    navigator.credentials.get = (o) => { window.asked++; return get(o); };
  });
  await press("Open my record");
  await page.waitForSelector("section[aria-label=Timeline]", wait);
  assert.equal(await page.evaluate(() => window.asked), 0);
  await press("Lock");
  await heading("Locked");
  await press("Sign in with a passkey");
  await heading("My record");
  await press("Open my record");
  await page.waitForSelector("section[aria-label=Timeline]", wait);
  assert.equal(await page.evaluate(() => window.asked), 2, "to sign in, and for the session");
});
