// A patient takes her record over by its code, in Chromium: the fingerprint of the network, a mistaken,
// a wrong and a used code, the claim by the link of the QR code, and what a browser does when the
// network's first block changes. SALUS_GATEWAY and SALUS_TOKEN are the operator's API of the hospital.
import assert from "node:assert/strict";
import { createHash, randomBytes } from "node:crypto";
import { existsSync } from "node:fs";
import { join } from "node:path";
import test, { after, before } from "node:test";
import puppeteer from "puppeteer-core";

import { look } from "./look.mjs";

const portal = process.env.SALUS_PORTAL;
const chromium = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
const wait = { timeout: 90_000 };
const options = { skip: !chromium ? "there is no Chromium" : !process.env.SALUS_GATEWAY ? "no operator's API is given" : false };

let browser, page, code, wrong, print;
const faults = [];

// codeText writes a claim code as record/code.go does.
function codeText(account, secret) {
  const b = Buffer.concat([account, secret, createHash("sha256").update("salus/code/v1\0").update(account).update(secret).digest().subarray(0, 2)]);
  let v = BigInt("0x" + b.toString("hex")), s = "";
  for (let i = 0; i < 80; i++, v >>= 5n) s = "0123456789abcdefghjkmnpqrstvwxyz"[Number(v & 31n)] + s;
  return s.match(/.{4}/g).join("-");
}

function accountBytes(text) {
  let v = 0n;
  for (const c of text) v = (v << 5n) | BigInt("0123456789abcdefghjkmnpqrstvwxyz".indexOf(c));
  return Buffer.from(v.toString(16).padStart(32, "0"), "hex");
}

async function operator(path, body) {
  const r = await fetch(process.env.SALUS_GATEWAY + path, { method: "POST", headers: { Authorization: `Bearer ${process.env.SALUS_TOKEN}`, "Content-Type": "application/json" }, body: JSON.stringify(body) });
  assert.equal(r.status, 200, path);
  return r.text();
}

before(async () => {
  if (options.skip) return;
  const patient = `urn:uuid:${crypto.randomUUID()}`;
  const bundle = { resourceType: "Bundle", type: "collection", entry: [
    { fullUrl: patient, resource: { resourceType: "Patient", id: `claim-${randomBytes(4).toString("hex")}`, name: [{ family: "Sample", given: ["Clara"] }] } },
  ] };
  const lines = (await operator("/v1/import?wait=active", bundle)).trim().split("\n").map((l) => JSON.parse(l));
  const done = lines.find((l) => l.done)?.done;
  assert.ok(done, JSON.stringify(lines));
  const account = done.accounts[0];
  const made = JSON.parse(await operator(`/v1/patients/${account}/claim`, {}));
  code = codeText(accountBytes(account), Buffer.from(made.secret, "base64"));
  wrong = codeText(accountBytes(account), randomBytes(32));
  const genesis = await fetch(portal + "/api/genesis", { headers: { "Sec-Fetch-Site": "same-origin" } });
  print = createHash("sha256").update(Buffer.from(await genesis.arrayBuffer())).digest("hex").slice(0, 32).match(/.{4}/g).join(" ");
  browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox", "--disable-gpu"], headless: true });
  page = await browser.newPage();
  page.on("pageerror", (e) => faults.push(`error: ${e.message}`));
  await page.evaluateOnNewDocument(() => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (e) => window.violations.push(`${e.violatedDirective} ${e.blockedURI} ${e.sample}`));
  });
  await page.setExtraHTTPHeaders({ "Accept-Language": "en" });
  await page.setViewport({ width: 1280, height: 800 });
  const cdp = await page.createCDPSession();
  await cdp.send("WebAuthn.enable");
  await cdp.send("WebAuthn.addVirtualAuthenticator", {
    options: { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
  });
});

after(async () => browser?.close());

const press = async (name) => (await page.waitForSelector(`::-p-aria([name="${name}"][role="button"])`, wait)).click();
const heading = (text) => page.waitForFunction((t) => document.querySelector("h1")?.textContent === t, wait, text);
const says = (words) => page.waitForFunction((w) => (document.querySelector("main")?.textContent ?? "").includes(w), wait, words);
const alert = async () => (await page.waitForSelector("[role=alert]", wait)).evaluate((e) => e.textContent);

async function enterCode(text) {
  const field = await page.waitForSelector("textarea", wait);
  await field.evaluate((e) => e.select());
  await field.type(text);
  await press("Take it over with a passkey");
}

const check = (name) => look(page, name, faults);

test("the network's fingerprint is shown before anybody signs up, and compared with paper", options, async () => {
  await page.goto(portal, { waitUntil: "networkidle0" });
  await says(print);
  await says("sees this network for the first time");
  const field = await page.waitForSelector(".compare input", wait);
  await field.type(print.replaceAll(" ", "").toUpperCase());
  await says("They are the same");
  await field.evaluate((e) => e.select());
  await field.type("0".repeat(32));
  await says("They differ");
  await check("fingerprint");
});

test("a mistaken and a wrong code say what to do, and no passkey is made", options, async () => {
  await page.goto(portal + "/#/patient/claim");
  await heading("Take over your record");
  await press("Take it over with a passkey");
  assert.match(await alert(), /Enter the code/);
  await enterCode(code.slice(0, -1) + (code.endsWith("0") ? "1" : "0"));
  await says("is mistaken");
  await enterCode(code.slice(5));
  await says("Some are missing");
  await enterCode(wrong);
  await says("This code opens no record here");
  await check("claim-wrong");
});

test("the link of the QR code takes the record over, and her log says so", options, async () => {
  const sent = [];
  const seen = (r) => sent.push(r.url() + (r.postData() ?? ""));
  page.on("request", seen);
  await page.goto("about:blank");
  await page.goto(`${portal}/#/patient/claim/${code.replaceAll("-", "")}`);
  await heading("Take over your record");
  assert.equal(await page.$eval("textarea", (e) => e.value), code);
  assert.equal(await page.evaluate(() => location.hash), "#/patient/claim");
  await check("claim");
  await press("Take it over with a passkey");
  await heading("Who looked");
  await page.waitForSelector(".note-good", wait);
  await says("took control of the account with a claim code");
  page.off("request", seen);
  const bare = code.replaceAll("-", "");
  for (const s of sent) assert.ok(!s.replace(/#.*/, "").includes(bare) && !s.replace(/#.*/, "").includes(code), "the code left the page");
  assert.ok(!(await page.evaluate(() => JSON.stringify([localStorage, sessionStorage, document.cookie]))).includes(bare));
  await check("claimed");
});

test("a code works once", options, async () => {
  await page.goto(portal + "/#/patient/claim");
  await says("Somebody is signed in here");
  await press("Sign out");
  await enterCode(code);
  await says("This code was used already");
  await check("claim-used");
  await page.goto(portal + "/#/patient");
  await press("Sign in with a passkey");
  await heading("Who looked");
});

test("a stranger cannot ask whether a pseudonym is open", options, async () => {
  const r = await fetch(`${portal}/api/claim/00000000000000000000000001`, { headers: { "Sec-Fetch-Site": "same-origin" } });
  assert.ok([404, 405].includes(r.status), String(r.status));
});

test("the chain is followed from the remembered first block, and again at the next visit", options, async () => {
  for (const visit of ["first", "second"]) {
    await page.goto("about:blank");
    await page.goto(portal + "/#/network");
    await says("Followed and verified here up to block");
    await says(print);
    if (visit === "first") await check("network-root");
  }
  // What was remembered is altered: another validator in the saved trust.
  await page.evaluate(() => new Promise((done, fail) => {
    const r = indexedDB.open("salus", 1);
    r.onerror = fail;
    r.onsuccess = () => {
      const s = r.result.transaction("kept", "readwrite").objectStore("kept");
      const got = s.get("light");
      got.onsuccess = () => {
        const light = got.result;
        light.saved[light.saved.length - 1] ^= 1;
        s.put(light, "light").onsuccess = () => { r.result.close(); done(); };
      };
    };
  }));
  await page.goto("about:blank");
  await page.goto(portal + "/#/network");
  assert.match(await alert(), /does not follow from the network/);
  await check("network-altered");
  await page.evaluate(() => new Promise((done) => { indexedDB.deleteDatabase("salus").onsuccess = done; }));
});

test("another first block turns the whole portal red", options, async () => {
  await page.goto("about:blank");
  await page.goto(portal + "/#/network");
  await says(print);
  await page.setRequestInterception(true);
  const alter = async (r) => {
    if (!r.url().endsWith("/api/genesis")) return r.continue();
    const doc = await (await fetch(r.url(), { headers: { "Sec-Fetch-Site": "same-origin" } })).json();
    doc.genesis_time = "2020-01-01T00:00:00Z";
    return r.respond({ status: 200, contentType: "application/json", body: JSON.stringify(doc) });
  };
  page.on("request", alter);
  await page.goto("about:blank");
  await page.goto(portal + "/#/patient");
  assert.match(await alert(), /This is not the network that you know/);
  assert.equal(await page.$("::-p-aria([name=\"Sign in with a passkey\"])"), null);
  await says(print);
  await check("network-changed");
  page.off("request", alter);
  await page.setRequestInterception(false);
  await page.goto("about:blank");
  await page.goto(portal + "/#/patient");
  await page.waitForSelector("h1", wait);
  assert.equal(await page.$("[role=alert]"), null);
});
