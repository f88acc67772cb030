package tx

// Codes of the wire and of the ledger's core: 0x0001 to 0x00ff. A code is never
// reused, and never changes its meaning; new ones are appended.
const (
	CodeOK uint32 = 0x0000

	// Form.
	CodeMalformed    uint32 = 0x0001
	CodeNotCanonical uint32 = 0x0002
	CodeTooLarge     uint32 = 0x0003
	CodeFieldLength  uint32 = 0x0004
	CodeBadKind      uint32 = 0x0005
	CodeUnknownKind  uint32 = 0x0006
	CodeWrongChain   uint32 = 0x0007
	CodePayload      uint32 = 0x0008
	CodeBadKey       uint32 = 0x0009
	CodeUnknownAlg   uint32 = 0x000a
	CodeText         uint32 = 0x000b

	// Signatures.
	CodeMissingSignature   uint32 = 0x0010
	CodeTooManySignatures  uint32 = 0x0011
	CodeDuplicateSignature uint32 = 0x0012
	CodeSignatureOrder     uint32 = 0x0013
	CodeBadSignature       uint32 = 0x0014
	CodeHighS              uint32 = 0x0015
	CodePasskey            uint32 = 0x0016
	CodePasskeyRP          uint32 = 0x0017
	CodePasskeyFlags       uint32 = 0x0018
	CodePasskeyClientData  uint32 = 0x0019
	CodePasskeyOrigin      uint32 = 0x001a
	CodeUserVerification   uint32 = 0x001b

	// Who signs.
	CodeUnknownSigner  uint32 = 0x0020
	CodeSignerInactive uint32 = 0x0021
	CodeKeyInactive    uint32 = 0x0022

	// When, and how often.
	CodeExpired          uint32 = 0x0030
	CodeExpiryTooFar     uint32 = 0x0031
	CodeNonceReplay      uint32 = 0x0032
	CodeNonceTooOld      uint32 = 0x0033
	CodeNonceTooFarAhead uint32 = 0x0034
	CodeQuota            uint32 = 0x0035
	CodeDuplicateInBlock uint32 = 0x0036
)

// CodeInfo is one row of the table of codes, spec/codes.md.
type CodeInfo struct {
	Code uint32
	Name string // lower case with hyphens; stable like the code
	Text string // one sentence, as in Refusal.Text
}

// Codes lists the codes of this package and of the ledger's core, ascending.
// Modules list their own in the same form.
func Codes() []CodeInfo {
	return []CodeInfo{
		{CodeOK, "ok", "tx: done"},
		{CodeMalformed, "malformed", "tx: not CBOR of the expected shape"},
		{CodeNotCanonical, "not-canonical", "tx: the encoding is not the canonical one"},
		{CodeTooLarge, "too-large", "tx: larger than allowed"},
		{CodeFieldLength, "field-length", "tx: a field has a wrong length or is missing"},
		{CodeBadKind, "bad-kind", "tx: a kind is <module>.<verb> in lower case letters and digits, at most 48 bytes"},
		{CodeUnknownKind, "unknown-kind", "tx: no module takes this kind"},
		{CodeWrongChain, "wrong-chain", "tx: the transaction is for another chain"},
		{CodePayload, "payload", "tx: the payload is not valid for its kind"},
		{CodeBadKey, "bad-key", "tx: the public key is not a valid point, or not allowed"},
		{CodeUnknownAlg, "unknown-algorithm", "tx: the signature algorithm is unknown"},
		{CodeText, "text", "tx: the text form is not valid"},
		{CodeMissingSignature, "missing-signature", "tx: a signature is missing"},
		{CodeTooManySignatures, "too-many-signatures", "tx: at most 8 signatures"},
		{CodeDuplicateSignature, "duplicate-signature", "tx: the same key signed twice"},
		{CodeSignatureOrder, "signature-order", "tx: signatures ascend by account and key"},
		{CodeBadSignature, "bad-signature", "tx: the signature does not verify"},
		{CodeHighS, "high-s", "tx: the signature has a high s; the wallet must send n-s"},
		{CodePasskey, "passkey", "tx: the authenticator data is not well formed"},
		{CodePasskeyRP, "passkey-rp", "tx: the passkey signed for another relying party"},
		{CodePasskeyFlags, "passkey-flags", "tx: the flags of the authenticator data are not allowed"},
		{CodePasskeyClientData, "passkey-client-data", "tx: the client data is not an assertion over this transaction in the standard serialization"},
		{CodePasskeyOrigin, "passkey-origin", "tx: the passkey was used at an origin that is not allowed"},
		{CodeUserVerification, "user-verification", "tx: the authenticator must verify its user"},
		{CodeUnknownSigner, "unknown-signer", "tx: the signer is unknown"},
		{CodeSignerInactive, "signer-inactive", "tx: the signer, or its member, is not active"},
		{CodeKeyInactive, "key-inactive", "tx: the key is not a live key of the account at this height"},
		{CodeExpired, "expired", "tx: the transaction has expired"},
		{CodeExpiryTooFar, "expiry-too-far", "tx: the expiry is too many blocks ahead"},
		{CodeNonceReplay, "nonce-replay", "tx: the nonce was used before"},
		{CodeNonceTooOld, "nonce-too-old", "tx: the nonce is below the window"},
		{CodeNonceTooFarAhead, "nonce-too-far-ahead", "tx: the nonce is too far ahead"},
		{CodeQuota, "quota", "tx: the quota of this block is used up; try again in the next"},
		{CodeDuplicateInBlock, "duplicate-in-block", "tx: the transaction is in the block twice"},
	}
}

// Refusals of this package. They are values: no code writes to them.
var (
	errMalformed          = refusal(CodeMalformed)
	errNotCanonical       = refusal(CodeNotCanonical)
	errTooLarge           = refusal(CodeTooLarge)
	errFieldLength        = refusal(CodeFieldLength)
	errBadKind            = refusal(CodeBadKind)
	errBadKey             = refusal(CodeBadKey)
	errUnknownAlg         = refusal(CodeUnknownAlg)
	errText               = refusal(CodeText)
	errMissingSignature   = refusal(CodeMissingSignature)
	errTooManySignatures  = refusal(CodeTooManySignatures)
	errDuplicateSignature = refusal(CodeDuplicateSignature)
	errSignatureOrder     = refusal(CodeSignatureOrder)
	errBadSignature       = refusal(CodeBadSignature)
	errHighS              = refusal(CodeHighS)
	errPasskey            = refusal(CodePasskey)
	errPasskeyRP          = refusal(CodePasskeyRP)
	errPasskeyFlags       = refusal(CodePasskeyFlags)
	errPasskeyClientData  = refusal(CodePasskeyClientData)
	errPasskeyOrigin      = refusal(CodePasskeyOrigin)
	errUserVerification   = refusal(CodeUserVerification)
)

// refusal makes the refusal of a code of the table.
func refusal(code uint32) *Refusal {
	for _, c := range Codes() {
		if c.Code == code {
			return Refuse(c.Code, c.Text)
		}
	}
	panic("tx: internal error: code without a row")
}
