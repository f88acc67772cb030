// The bad day, in Chromium: a patient names guardians; somebody asks for her keys, she stops it with one touch;
// she loses every key and comes back on a new device; an emergency stands at the top of her log, she disputes it
// and a reviewer at the desk answers; she sets what an emergency may open; she has everything erased.
// SALUS_PASSKEY is her passkey, SALUS_PATIENT her pseudonym; SALUS_GATEWAY, SALUS_TOKEN are the operator's API
// of the same organisation. The certificate of the erasure is saved into SALUS_FOLDER. The network's time lock is short.
import assert from "node:assert/strict";
import { existsSync, readdirSync, readFileSync } from "node:fs";
import { join } from "node:path";
import test, { after, before } from "node:test";
import puppeteer from "puppeteer-core";

import { look, picture } from "./look.mjs";

const portal = process.env.SALUS_PORTAL;
const patient = process.env.SALUS_PATIENT;
const folder = process.env.SALUS_FOLDER;
const passkey = process.env.SALUS_PASSKEY ? JSON.parse(process.env.SALUS_PASSKEY) : undefined;
const chromium = process.env.CHROMIUM ?? ["/usr/bin/chromium", "/usr/bin/chromium-browser", "/usr/bin/google-chrome"].find(existsSync);
const wait = { timeout: 90_000 };
const options = { skip: !chromium ? "there is no Chromium" : !folder ? "no patient was made for it" : false };

let browser, hers, fresh, helper, desk, other;
const faults = [];

async function operator(method, path, body) {
  const r = await fetch(process.env.SALUS_GATEWAY + path, { method, headers: { Authorization: `Bearer ${process.env.SALUS_TOKEN}`, "Content-Type": "application/json" }, body: JSON.stringify(body) });
  const text = await r.text();
  assert.ok(r.ok, `${method} ${path}: ${r.status} ${text}`);
  return text === "" ? {} : JSON.parse(text);
}

/** person is a browser of somebody's own: a page, a device with passkeys, and a folder for what it saves. */
async function person() {
  const context = await browser.createBrowserContext();
  const p = await context.newPage();
  p.on("pageerror", (e) => faults.push(`error: ${e.message}`));
  p.on("dialog", (d) => { faults.push(`dialog: ${d.message()}`); void d.dismiss(); });
  await p.evaluateOnNewDocument(() => {
    window.violations = [];
    document.addEventListener("securitypolicyviolation", (e) => window.violations.push(`${e.violatedDirective} ${e.blockedURI} ${e.sample}`));
  });
  await p.setExtraHTTPHeaders({ "Accept-Language": "en" });
  await p.setViewport({ width: 1280, height: 800 });
  const cdp = await p.createCDPSession();
  await cdp.send("Browser.setDownloadBehavior", { behavior: "allow", downloadPath: folder, browserContextId: context.id });
  await cdp.send("WebAuthn.enable");
  const { authenticatorId } = await cdp.send("WebAuthn.addVirtualAuthenticator", {
    options: { protocol: "ctap2", transport: "internal", hasResidentKey: true, hasUserVerification: true, isUserVerified: true, automaticPresenceSimulation: true },
  });
  return Object.assign(p, { cdp, authenticatorId });
}

before(async () => {
  if (options.skip) return;
  for (const [name, privileges] of [["bad-doctor", 1 | 4], ["bad-reviewer", 1 | 32 | 64], ["bad-registrar", 1 | 64]]) await operator("POST", `/v1/staff/${name}`, { device: false, roles: [], privileges });
  browser = await puppeteer.launch({ executablePath: chromium, args: ["--no-sandbox", "--disable-gpu"], headless: true });
  [hers, fresh, helper, desk, other] = [await person(), await person(), await person(), await person(), await person()];
  await hers.cdp.send("WebAuthn.addCredential", {
    authenticatorId: hers.authenticatorId,
    credential: { credentialId: passkey.credential, isResidentCredential: true, rpId: "localhost", privateKey: passkey.key, userHandle: passkey.handle, signCount: 0 },
  });
});

after(async () => browser?.close());

const press = async (name, p) => (await p.waitForSelector(`::-p-aria([name="${name}"][role="button"]):not([disabled])`, wait).catch((err) => { throw new Error(`no button “${name}”`, { cause: err }); })).click();
const heading = (text, p) => p.waitForFunction((t) => document.querySelector("h1")?.textContent === t, wait, text);
const says = (pattern, p) => p.waitForFunction((x) => new RegExp(x).test(document.querySelector("main")?.textContent ?? ""), wait, pattern).catch(async (err) => {
  throw new Error(`waited for “${pattern}”, the page says: ${await p.$eval("main", (m) => m.innerText.slice(0, 2500)).catch(() => "nothing")}`, { cause: err });
});
const type = async (label, text, p) => {
  const box = await p.waitForSelector(`::-p-aria([name="${label}"][role="textbox"])`, wait);
  await box.click({ clickCount: 3 });
  await box.type(text);
};
const go = async (view, title, p) => {
  await p.goto(`${portal}/#/patient/${view}`);
  await heading(title, p);
};
const saved = async (name) => {
  for (const end = Date.now() + wait.timeout; Date.now() < end; await new Promise((r) => setTimeout(r, 50))) {
    const file = readdirSync(folder).find((f) => f.startsWith(name) && !f.endsWith(".crdownload"));
    if (file) return join(folder, file);
  }
  throw new Error(`nothing was saved as ${name}`);
};

const check = (name, p) => look(p, name, faults);

test("she names two guardians, each with a card of her own", options, async () => {
  await hers.goto(portal, { waitUntil: "networkidle0" });
  await press("Sign in with a passkey", hers);
  await hers.waitForSelector(".views", wait);
  await go("devices", "Devices", hers);
  await says("You have no guardians", hers);
  await press("Choose guardians", hers);
  await type("Accounts of people, one on each line", patient, hers);
  await says("Line 1 is no account, is your own", hers);
  await type("Accounts of people, one on each line", " ", hers);
  await hers.select("select", "2");
  await check("guardians-form", hers);
  await press("Make the cards", hers);
  await press("Save card 1", hers);
  await saved("guardian-1");
  await press("Save card 2", hers);
  await saved("guardian-2");
  await press("Sign with my passkey", hers);
  await says("Named since block \\d+", hers);
  await says("It takes 2 of your guardians", hers);
  await check("devices-guardians", hers);
});

/** code makes a key on the new device and gives the code for the guardians. */
async function code() {
  await type("Your account", patient, fresh);
  await press("Make a key on this device", fresh);
  await says("Nobody has asked the ledger for this key yet", fresh);
  return fresh.$eval(".card .mono", (e) => e.textContent);
}

/** approve has both cards speak for a key. */
async function approve(of) {
  for (const [n, sees, button, done] of [[1, "You are the first", "Yes, ask for this key", "You asked for her key"], [2, "1 of 2 have approved", "Yes, approve this key", "You approved at block"]]) {
    await (await helper.waitForSelector("input[type=file]", wait)).uploadFile(await saved(`guardian-${n}`));
    await type("The code of her new device", of, helper);
    await press("Look", helper);
    await says(sees, helper);
    if (n === 1) await check("guardian-help", helper);
    await press(button, helper);
    await says(done, helper);
  }
}

/** eraseOne asks for the first problem of the record to be erased, and gives its title. */
async function eraseOne(p) {
  await press("Open my record", p);
  await press("Problems", p);
  await (await p.waitForSelector(".entry summary", wait)).click();
  const title = await p.$eval(".entry strong", (e) => e.textContent);
  await press("Erase this record…", p);
  await (await p.waitForSelector('::-p-aria([name="I understand that nobody can undo this"][role="checkbox"])', wait)).click();
  return title;
}

test("somebody asks for her keys: she sees it on every page and stops it with one touch", options, async () => {
  await fresh.goto(`${portal}/#/patient/recover`);
  await heading("Get your account back", fresh);
  await check("recover-start", fresh);
  const of = await code();
  await check("recover-code", fresh);
  await helper.goto(portal, { waitUntil: "networkidle0" });
  await press("Create an account with a passkey", helper);
  await helper.waitForSelector(".views", wait);
  await go("guardian", "Help somebody who lost her keys", helper);
  await approve(of);
  await go("grants", "Who may look", hers);
  await says("Somebody asks for new keys to your account", hers);
  await says("By guardians of yours", hers);
  await check("recovery-notice", hers);
  // Who asks now may be whom the case is against.
  await go("record", "My record", hers);
  await eraseOne(hers);
  await press("Ask for its erasure with my passkey", hers);
  await says("Keys to your account are being asked for", hers);
  await press("Stop it", hers);
  await says("Stopped at block \\d+", hers);
  await hers.waitForFunction(() => document.querySelector("section.note-bad") === null, wait);
  await says("It was stopped", fresh);
});

/** atDesk signs staff in and opens what is owed. */
async function atDesk(staff, p) {
  const { code } = await operator("POST", "/v1/codes", { staff });
  await p.goto(`${portal}/#/clinician`);
  await heading("For staff", p);
  await (await p.waitForSelector("::-p-text(Sign in as staff)", wait)).click();
  await (await p.waitForSelector("input[name=code]", wait)).type(code);
  await Promise.all([p.waitForNavigation(wait), p.click("button[type=submit], button:not([type])")]);
  if (p.url().includes("/approve")) await Promise.all([p.waitForNavigation(wait), p.click("button[value=allow], button[type=submit], button:not([type])")]);
  await heading("Patients", p);
  await p.goto(`${portal}/#/clinician/duties`);
  await heading("What is owed", p);
}

test("two members of staff look at her papers: not one of them twice", options, async () => {
  await press("Begin again", fresh);
  const of = await code();
  const name = await fresh.$eval(".card strong", (e) => e.textContent);
  await atDesk("bad-reviewer", desk);
  await says("Nobody waits for keys", desk);
  await type("The code of the patient’s new device", of.slice(0, -1), desk);
  await says("incomplete or has a slip in it", desk);
  await type("The code of the patient’s new device", of, desk);
  await says(`has to be ${name.replace("Name of the key: ", "")} on her device`, desk);
  await type("Which papers were seen, by whom, where", "Synthetic: passport, at the desk", desk);
  await press("I have seen the papers: ask for this key", desk);
  await says("Asked for at block \\d+", desk);
  await says("You have approved. Somebody else has to", desk);
  assert.match(readFileSync(await saved("papers-"), "utf8"), /passport/);
  await atDesk("bad-registrar", other);
  await says(name, other);
  await check("duties-papers", other);
  await press("I have seen the papers too: approve", other);
  await says("Approved at block \\d+", other);
});

test("she loses every key, and comes back on the new device when the time lock has run", options, async () => {
  await says("The waiting time runs until|The waiting time is over", fresh);
  await check("recover-waiting", fresh);
  await press("Take my account over", fresh);
  await says("This key is a key of your account", fresh);
  await press("Sign in and bring it back", fresh);
  await says("You are back\\. Your order of kinds is here again, and \\d+ records", fresh);
  await check("recover-back", fresh);
  await go("looked", "Who looked", fresh);
  await fresh.waitForSelector(".note-good", wait);
  await says("with new keys, to get back what the lost device knew", fresh);
  await says("carried out: new keys for your account", fresh);
});

test("an emergency stands at the top of her log at once, and she disputes it", options, async () => {
  await operator("POST", "/v1/sessions", { as: "bad-doctor", patient, purpose: "BTG", seconds: 600, reason: "OVRER" });
  await go("emergency", "What an emergency may open", fresh);
  await go("looked", "Who looked", fresh);
  await says("Somebody reads your records in an emergency, without your consent", fresh);
  await says("emergency treatment.*Only what an emergency opens first.*Has to be justified by.*Has to be reviewed by", fresh);
  await check("emergency-log", fresh);
  await press("Dispute it", fresh);
  await says("Disputed at block \\d+", fresh);
  await says("You disputed it", fresh);
  await press("End the reading now", fresh);
  await says("Ended at block \\d+", fresh);
});

test("she sets what an emergency may open", options, async () => {
  await go("emergency", "What an emergency may open", fresh);
  await says("Your organisation set this", fresh);
  await press("Open my secret order", fresh);
  await says("At once.*After a second, separate step.*Never", fresh);
  await (await fresh.waitForSelector('::-p-aria([name="addiction"][role="checkbox"])', wait)).click();
  await check("emergency-directive", fresh);
  await press("Set it with my passkey", fresh);
  await says("It holds since block \\d+", fresh);
  await says("You set this yourself", fresh);
  await says("Never.*addiction", fresh);
});

test("a reviewer at the desk finds what is owed, and answers for it", options, async () => {
  await desk.reload();
  await heading("What is owed", desk);
  await says("emergency treatment", desk);
  await says("Nobody waits for keys", desk);
  await check("duties", desk);
  // What was declared elsewhere about a patient of this organisation is hers to review too.
  const owed = () => desk.$$eval('ul[aria-label="Emergencies"] > li', (l) => l.length);
  for (let left = await owed(); left > 0; left = await owed()) {
    await press("Review", desk);
    await type("Reasons for the verdict", "Synthetic: the patient was unconscious.", desk);
    await check("duties-review", desk);
    await press("Save the text and sign", desk);
    await says("Reviewed at block \\d+", desk);
    await desk.waitForFunction((n) => document.querySelectorAll('ul[aria-label="Emergencies"] > li').length < n, wait, left);
  }
  assert.match(readFileSync(await saved("review-"), "utf8"), /unconscious/);
  await says("Nothing is owed", desk);
});

test("a second emergency by the same person is flagged to her, in the log and in what is new", options, async () => {
  await operator("POST", "/v1/sessions", { as: "bad-doctor", patient, purpose: "BTG", seconds: 600, reason: "OVRER" });
  await go("news", "What is new", fresh);
  await says("The same person declared one about you within the last 30 days", fresh);
  await go("looked", "Who looked", fresh);
  await says("The same person declared one about you within the last 30 days", fresh);
  await check("emergency-flagged", fresh);
});

test("she has one record erased, with what tells of it, and takes the certificate with her", options, async () => {
  await go("record", "My record", fresh);
  const title = await eraseOne(fresh);
  await says("Each organisation that keeps a share of its key destroys that.*Nobody can undo this.*Your passkey is asked 2 times", fresh);
  await check("erase-one", fresh);
  await press("Ask for its erasure with my passkey", fresh);
  await says("Asked for at block \\d+", fresh);
  await says(`Erased: ${title.replace(/[.*+?^${}()|[\]\\]/g, "\\$&")}.*4 of 4 organisations have signed.*Erased: its table of contents.*4 of 4 organisations have signed`, fresh);
  await check("erase-one-done", fresh);
  await press("Save the certificate", fresh);
  await saved("erasure-");
  await press("Back to the record", fresh);
  await press("Problems", fresh);
  await fresh.waitForFunction((x) => [...document.querySelectorAll(".entry strong")].every((e) => e.textContent !== x), wait, title);
  await go("erasure", "Erasure", fresh);
  await says("Erased: one record", fresh);
});

/** signs has one of staff begin a case with a paper, and the other sign it too. half looks at it in between. */
async function signs(first, second, kind, more = async () => {}, half = async () => {}) {
  await first.reload();
  await heading("What is owed", first);
  await (await first.waitForSelector("main select", wait)).select(kind);
  await type("The patient’s account", patient, first);
  await more();
  await type("Which paper was seen, by whom, where", "Synthetic: a certificate, at the desk", first);
  await press("I have seen the paper: sign", first);
  await says("Signed at block \\d+", first);
  await half();
  await second.reload();
  await heading("What is owed", second);
  await press("I have seen the papers too: approve", second);
  await says("Approved at block \\d+", second);
}

test("two of staff record a death and name an executor, who reads when the time lock has run and not once the death is undone", options, async () => {
  const [first, second] = [await person(), await person()];
  await atDesk("bad-registrar", first);
  await atDesk("bad-reviewer", second);
  await says("No death waits for a second signature", first);
  const executor = (await helper.evaluate(() => fetch("/api/session").then((r) => r.json()))).account;
  const look = async () => press("Look how it stands", helper);
  const readsNothing = async () => assert.equal(await helper.$("::-p-aria([name='Open her record'][role='button'])"), null, "she is no executor yet");
  await go("acting", "Act for somebody else", helper);
  await type("The patient’s account", patient, helper);
  await look();
  await says("You act for nobody with this account", helper);
  await signs(first, second, "death");
  await signs(first, second, "executor", async () => {
    await type("The executor’s account", patient, first);
    await says("This is no account, or the patient’s own", first);
    await type("The executor’s account", executor, first);
    await picture(first, "duties-executor", faults);
  }, async () => {
    await look();
    await says("One member of staff has seen the court’s paper that names you\\. A second one has to see it too", helper);
    await readsNothing();
    await first.reload();
    await says("You have approved. Somebody else has to", first);
    assert.equal(await first.$("::-p-aria([name='I have seen the papers too: approve'][role='button'])"), null, "the second signature is somebody else's");
  });
  await look();
  await says("You are named as executor", helper);
  await readsNothing();
  await picture(helper, "acting-waiting", faults);
  for (const end = Date.now() + 2 * wait.timeout; (await helper.$$("::-p-aria([name='Carry it out'][role='button'])")).length === 0; await new Promise((r) => setTimeout(r, 300))) {
    assert.ok(Date.now() < end, "the time lock never ran");
    await look();
  }
  await press("Carry it out", helper);
  await says("Carried out at block \\d+", helper);
  await says("You execute what this patient left", helper);
  await press("Open her record", helper);
  await (await helper.waitForSelector(".entry summary", wait)).click();
  await helper.waitForSelector("pre.source", wait);
  assert.equal(await helper.$("::-p-aria([name='Erase this record…'][role='button'])"), null, "only a patient has her record erased");
  await check("acting-record", helper);
  await signs(first, second, "life");
  await look();
  await says("You act for nobody with this account", helper);
  await readsNothing();
  await go("looked", "Who looked", fresh);
  await says("carried out: an executor", fresh);
});

test("she has everything erased, and takes the certificate with her", options, async () => {
  await go("erasure", "Erasure", fresh);
  await says("No legal hold stands against you", fresh);
  await check("erasure-none", fresh);
  await (await fresh.waitForSelector('::-p-aria([name="I understand that nobody can undo this"][role="checkbox"])', wait)).click();
  await press("Ask for erasure with my passkey", fresh);
  await says("Asked for at block \\d+", fresh);
  await says("Erased: the whole account", fresh);
  await says("4 of 4 organisations have signed", fresh);
  await check("erasure-done", fresh);
  const before = readdirSync(folder).filter((f) => f.endsWith(".receipt")).length;
  await press("Save the certificate", fresh); // the newest stands first
  for (const end = Date.now() + wait.timeout; readdirSync(folder).filter((f) => f.endsWith(".receipt")).length === before; await new Promise((r) => setTimeout(r, 50))) assert.ok(Date.now() < end, "no second certificate was saved");
  await go("looked", "Who looked", fresh);
  await says("Erased: the whole account", fresh);
});
