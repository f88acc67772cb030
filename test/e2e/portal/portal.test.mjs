// The real portal in Chromium: sign-up and sign-in with a passkey of the virtual authenticator,
// the verified log, lock and sign-out, and on every screen axe-core and the reports of the policy.
// SALUS_PORTAL is the portal's address, SALUS_GATEWAY and SALUS_TOKEN are the operator's API, SALUS_STAFF
// is the name of a practitioner; SALUS_SHOTS a folder for screenshots, if they are wanted.
import assert from "node:assert/strict";
import { existsSync } from "node:fs";
import { join } from "node:path";
import test, { after, before } from "node:test";
import puppeteer from "puppeteer-core";

import { look } from "./look.mjs";

const portal = process.env.SALUS_PORTAL;
if (!portal) throw new Error("SALUS_PORTAL does not say where the portal is");
const chromium = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
const shots = process.env.SALUS_SHOTS;
const wait = { timeout: 90_000 };

let browser, page, cdp, phone, key;
const faults = [];

before(async () => {
  if (!chromium) return;
  browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox", "--disable-gpu"], headless: true });
  page = await browser.newPage();
  page.on("pageerror", (e) => faults.push(`error: ${e.message}`));
  page.on("console", (m) => {
    if (/Content.Security|Trusted|Refused/i.test(m.text())) faults.push(m.text());
  });
  await page.evaluateOnNewDocument(() => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (e) => window.violations.push(`${e.violatedDirective} ${e.blockedURI} ${e.sample}`));
  });
  await page.setExtraHTTPHeaders({ "Accept-Language": "en" });
  cdp = await page.createCDPSession();
  await cdp.send("WebAuthn.enable");
  phone = await authenticator("internal");
});

after(async () => browser?.close());

/** authenticator adds a device with passkeys, which confirms what it is asked. */
async function authenticator(transport) {
  const { authenticatorId } = await cdp.send("WebAuthn.addVirtualAuthenticator", {
    options: { protocol: "ctap2", transport, hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
  });
  return authenticatorId;
}

const press = async (name) => (await page.waitForSelector(`::-p-aria([name="${name}"][role="button"])`, wait)).click();
const says = (pattern) => page.waitForFunction((p) => new RegExp(p).test(document.querySelector("main")?.textContent ?? ""), wait, pattern);
const heading = (text) => page.waitForFunction((t) => document.querySelector("h1")?.textContent === t, wait, text);

// check holds a screen to its rules, in both colours and on a phone, and takes its picture.
const check = (name) => look(page, name, faults);

const options = { skip: chromium ? false : "there is no Chromium" };

test("the page comes with a strict policy, and only under its own name", options, async () => {
  const r = await fetch(portal + "/");
  const policy = r.headers.get("content-security-policy");
  for (const want of ["default-src 'none'", "script-src 'self'", "require-trusted-types-for 'script'", "frame-ancestors 'none'"]) assert.ok(policy.includes(want), want);
  assert.ok(!policy.includes("unsafe"));
  assert.match(await r.text(), /integrity="sha384-/);
});

test("nobody is signed in at first", options, async () => {
  await page.goto(portal, { waitUntil: "networkidle0" });
  await heading("Your record, with your key");
  await check("enter");
});

test("a patient signs up with a passkey and sees her verified log", options, async () => {
  await press("Create an account with a passkey");
  await heading("Who looked");
  await page.waitForSelector(".note-good", wait);
  assert.match(await page.$eval(".note-good", (e) => e.textContent), /Complete and unaltered up to block \d+/);
  assert.match(await page.$eval(".lines", (e) => e.textContent), /created your account/);
  await check("looked");
});

test("her session is of her account alone, and nobody else's page can use it", options, async () => {
  const answers = await page.evaluate(async () => {
    const status = async (path, init) => { const r = await fetch(path, init); return [r.status, (await r.json()).code]; };
    return {
      staff: await status("/api/fhir/Patient"), admin: await status("/api/admin/status"),
      other: await status("/api/query/consent/grants?arg=a10150" + "07".repeat(16)),
    };
  });
  assert.deepEqual(answers, { staff: [403, "role"], admin: [403, "role"], other: [403, "account"] });
  const cookie = (await browser.cookies()).find((c) => c.name.includes("salus"));
  assert.equal(cookie.httpOnly, true);
  assert.equal(cookie.sameSite, "Strict");
  const foreign = await fetch(portal + "/api/session", { headers: { Cookie: `${cookie.name}=${cookie.value}`, Origin: "https://elsewhere.example", "Sec-Fetch-Site": "cross-site" } });
  assert.equal(foreign.status, 403);
});

test("who may look: nobody yet", options, async () => {
  await page.goto(portal + "/#/patient/grants");
  await heading("Who may look");
  await page.waitForSelector("::-p-text(Nobody may look at your records)", wait);
  await check("grants");
});

test("who signed up herself can consent at once: her secret order came with her account", options, async () => {
  await press("Open my secret order");
  await says("(Opened in this page.*You have 0 records|open it again in a minute)");
  if (await page.$eval("main", (m) => m.textContent.includes("open it again"))) {
    await press("Open my secret order");
    await says("Opened in this page.*You have 0 records");
  }
  await press("Give a consent");
  await says("What this reader would get");
  await press("Sign with my passkey");
  await says("Your consent holds since block \\d+");
  await press("Take back");
  await says("Taken back. It took effect at block \\d+");
});

test("everybody sees the network", options, async () => {
  await page.goto(portal + "/#/network");
  await heading("The network");
  await page.waitForSelector("tbody tr", wait);
  await check("network");
});

test("staff and administrators have their doors", options, async () => {
  await page.goto(portal + "/#/clinician");
  await heading("For staff");
  await check("staff");
  await page.goto(portal + "/#/organisation");
  await heading("Organisation");
  await check("organisation");
});

test("staff sign in at the organisation's page, and read FHIR without ever holding the token", { skip: options.skip || (process.env.SALUS_GATEWAY ? false : "no operator's API is given") }, async () => {
  const r = await fetch(process.env.SALUS_GATEWAY + "/v1/codes", { method: "POST", headers: { Authorization: `Bearer ${process.env.SALUS_TOKEN}` }, body: JSON.stringify({ staff: process.env.SALUS_STAFF }) });
  const { code } = await r.json();
  const context = await browser.createBrowserContext();
  const desk = await context.newPage();
  await desk.setExtraHTTPHeaders({ "Accept-Language": "en" });
  await desk.goto(portal + "/#/clinician");
  await (await desk.waitForSelector("::-p-text(Sign in as staff)", wait)).click();
  await (await desk.waitForSelector("input[name=code]", wait)).type(code);
  await Promise.all([desk.waitForNavigation(wait), desk.click("button[type=submit], button:not([type])")]);
  // The organisation's page asks what for; the first purpose is taken.
  if (desk.url().includes("/approve")) {
    await desk.evaluate(() => {
      const purpose = document.querySelector("select[name=purpose]");
      if (purpose) purpose.value = "TREAT";
      const radio = document.querySelector("input[name=purpose][value=TREAT]");
      if (radio) radio.checked = true;
    });
    await Promise.all([desk.waitForNavigation(wait), desk.click("button[value=allow], button[type=submit], button:not([type])")]);
  }
  await desk.waitForFunction((name) => document.querySelector(".lead")?.textContent.includes(name), wait, process.env.SALUS_STAFF);
  const seen = await desk.evaluate(async () => {
    const s = await (await fetch("/api/session")).json();
    const fhir = await fetch("/api/fhir/Patient?_count=1", { headers: { Accept: "application/fhir+json" } });
    return { role: s.role, status: fhir.status, type: (await fhir.json()).resourceType, patients: (await fetch("/api/query/consent/grants?arg=")).status, storage: Object.values(localStorage).concat(Object.values(sessionStorage), document.cookie) };
  });
  assert.ok(["staff", "admin"].includes(seen.role));
  assert.deepEqual([seen.status, seen.type, seen.patients], [200, "Bundle", 403]);
  assert.ok(!seen.storage.join().match(/[A-Za-z0-9_-]{43}/), "no token in the browser");
  if (shots) await desk.screenshot({ path: join(shots, "clinician.png") });
  await context.close();
});

test("locking ends the session at the server, and the passkey opens another", options, async () => {
  await page.goto(portal + "/#/patient/looked");
  await heading("Who looked");
  const before = (await browser.cookies()).find((c) => c.name.includes("salus"));
  await press("Lock");
  await heading("Locked");
  await check("locked");
  const dead = await fetch(portal + "/api/session", { headers: { Cookie: `${before.name}=${before.value}`, "Sec-Fetch-Site": "same-origin" } });
  assert.equal(dead.status, 401);
  await press("Sign in with a passkey");
  await heading("Who looked");
  await page.waitForSelector(".note-good", wait);
});

test("a page that nobody touches locks itself, and its session is over at the server", options, async () => {
  const before = (await browser.cookies()).find((c) => c.name.includes("salus"));
  await page.evaluate(() => { const now = Date.now.bind(Date); Date.now = () => now() + 5 * 60_000; });
  await heading("Locked");
  assert.equal(await page.$(".lines"), null);
  const dead = await fetch(portal + "/api/session", { headers: { Cookie: `${before.name}=${before.value}`, "Sec-Fetch-Site": "same-origin" } });
  assert.equal(dead.status, 401);
  await page.reload({ waitUntil: "networkidle0" });
  await press("Sign in with a passkey");
  await heading("Who looked");
});

test("a session that ended at the server locks the page at the next thing she does", options, async () => {
  await page.waitForSelector(".note-good", wait);
  const c = (await browser.cookies()).find((x) => x.name.includes("salus"));
  const ended = await fetch(portal + "/api/session", { method: "DELETE", headers: { Cookie: `${c.name}=${c.value}`, Origin: portal, "Sec-Fetch-Site": "same-origin" } });
  assert.equal(ended.status, 204);
  await page.goto(portal + "/#/patient/grants");
  await heading("Locked");
  await page.goto(portal + "/#/patient/looked");
  await press("Sign in with a passkey");
  await heading("Who looked");
});

test("an altered log turns red and is not shown", options, async () => {
  await page.setRequestInterception(true);
  const alter = async (r) => {
    if (!r.url().endsWith("/api/receipts/log")) return r.continue();
    const c = (await browser.cookies()).find((x) => x.name.includes("salus"));
    const b = Buffer.from(await (await fetch(r.url(), { headers: { Cookie: `${c.name}=${c.value}`, "Sec-Fetch-Site": "same-origin" } })).arrayBuffer());
    b[b.length >> 2] ^= 1;
    return r.respond({ status: 200, contentType: "application/cbor", body: b });
  };
  page.on("request", alter);
  await page.goto(portal + "/#/network");
  await page.goto(portal + "/#/patient/looked");
  await page.waitForSelector(".note-bad", wait);
  assert.match(await page.$eval(".note-bad", (e) => e.textContent), /does not fit what the network signed \(0x25/);
  assert.equal(await page.$(".lines"), null);
  await check("altered");
  page.off("request", alter);
  await page.setRequestInterception(false);
});

test("she adds a passkey on a second device, and is told of it", options, async () => {
  await page.goto(portal + "/#/patient/devices");
  await heading("Devices");
  await says("You have one key only");
  await check("devices-one");
  key = await authenticator("usb");
  // Of two that would confirm, the browser asks the security key. Once it has made its passkey, she
  // leaves it alone, so that the phone signs the change.
  await page.exposeFunction("leaveKey", () => cdp.send("WebAuthn.setAutomaticPresenceSimulation", { authenticatorId: key, enabled: false }));
  await page.evaluate(() => {
    const create = navigator.credentials.create.bind(navigator.credentials);
    navigator.credentials.create = async (o) => {
      const made = await create(o);
      await window.leaveKey();
      return made;
    };
  });
  await press("Add a passkey on another device or security key");
  await says("Added. The new passkey signs since block \\d+");
  await page.waitForFunction(() => document.querySelectorAll(".lines > li").length === 2, wait);
  await check("devices");
  await page.goto(portal + "/#/patient/news");
  await heading("What is new");
  await says("[Yy]ou changed the keys of the account; 2 are valid now");
});

test("she loses the first device: the second signs in, and the lost one signs nothing any more", options, async () => {
  const { credentials: [lost] } = await cdp.send("WebAuthn.getCredentials", { authenticatorId: phone });
  await cdp.send("WebAuthn.removeVirtualAuthenticator", { authenticatorId: phone });
  await cdp.send("WebAuthn.setAutomaticPresenceSimulation", { authenticatorId: key, enabled: true });
  await press("Lock");
  await heading("Locked");
  await press("Sign in with a passkey");
  await heading("What is new");
  await page.goto(portal + "/#/patient/devices");
  await heading("Devices");
  await page.waitForFunction(() => document.querySelectorAll(".lines > li").length === 2, wait);
  const first = await page.$$eval(".lines > li .facts", (all) => all.map((e) => Number(/block (\d+)/.exec(e.textContent)[1])).reduce((at, h, i, l) => (h < l[at] ? i : at), 0));
  await (await (await page.$$(".lines > li"))[first].$("button")).click();
  await says("It can never be added again");
  await check("devices-remove");
  await press("Remove for ever");
  await says("Removed at block \\d+");
  await page.waitForFunction(() => document.querySelectorAll(".lines > li").length === 1, wait);
  // Whoever found the device tries it.
  await press("Lock");
  await heading("Locked");
  await cdp.send("WebAuthn.setAutomaticPresenceSimulation", { authenticatorId: key, enabled: false });
  const found = await authenticator("internal");
  await cdp.send("WebAuthn.addCredential", { authenticatorId: found, credential: lost });
  await press("Sign in with a passkey");
  await says("does not belong to a live account");
  await cdp.send("WebAuthn.removeVirtualAuthenticator", { authenticatorId: found });
  await cdp.send("WebAuthn.setAutomaticPresenceSimulation", { authenticatorId: key, enabled: true });
  await press("Sign in with a passkey");
  await heading("Devices");
});

test("signing out leaves nothing behind, in German too", options, async () => {
  await page.select("select", "de");
  await press("Abmelden");
  await heading("Ihre Akte, mit Ihrem Schlüssel");
  assert.equal(await page.evaluate(() => document.documentElement.lang), "de");
  await page.reload({ waitUntil: "networkidle0" });
  await heading("Ihre Akte, mit Ihrem Schlüssel");
  assert.deepEqual(await page.evaluate(() => Object.keys(localStorage).filter((k) => !["salus-language", "mantine-color-scheme-value"].includes(k))), []);
  await check("enter-de");
});
