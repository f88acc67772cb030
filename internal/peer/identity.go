package peer

import (
	"crypto/ed25519"
	"crypto/rand"
	"crypto/tls"
	"crypto/x509"
	"crypto/x509/pkix"
	"errors"
	"fmt"
	"math/big"
	"time"

	"salus/ledger/tx"
)

// A Directory says who the members are; it is a view of the ledger's governance rows.
type Directory interface {
	// Member returns the host:port and the peer key of an active member.
	Member(account tx.Account) (address string, key ed25519.PublicKey, ok bool)
	// ByKey returns the active member that registered the key.
	ByKey(key ed25519.PublicKey) (tx.Account, bool)
}

// An Identity is this member's end of every link.
type Identity struct {
	cert tls.Certificate
}

// NewIdentity makes the self-signed certificate for key. The certificate's names
// and dates mean nothing to anybody: the key is the identity, and the ledger says whose it is.
func NewIdentity(key ed25519.PrivateKey) (*Identity, error) {
	serial, err := rand.Int(rand.Reader, new(big.Int).Lsh(big.NewInt(1), 120))
	if err != nil {
		return nil, fmt.Errorf("peer: %w", err)
	}
	t := &x509.Certificate{
		SerialNumber: serial, Subject: pkix.Name{CommonName: "salus peer"},
		NotBefore: time.Unix(0, 0), NotAfter: time.Date(9999, 12, 31, 23, 59, 59, 0, time.UTC), // RFC 5280 4.1.2.5: no well-defined end
		KeyUsage: x509.KeyUsageDigitalSignature, ExtKeyUsage: []x509.ExtKeyUsage{x509.ExtKeyUsageClientAuth, x509.ExtKeyUsageServerAuth},
	}
	der, err := x509.CreateCertificate(rand.Reader, t, t, key.Public(), key)
	if err != nil {
		return nil, fmt.Errorf("peer: %w", err)
	}
	return &Identity{cert: tls.Certificate{Certificate: [][]byte{der}, PrivateKey: key}}, nil
}

var errStranger = errors.New("peer: the other side is not the member it should be")

// keyOf returns the Ed25519 key of the other side of a handshake.
func keyOf(s tls.ConnectionState) (ed25519.PublicKey, error) {
	if len(s.PeerCertificates) != 1 {
		return nil, errStranger
	}
	key, ok := s.PeerCertificates[0].PublicKey.(ed25519.PublicKey)
	if !ok {
		return nil, errStranger
	}
	return key, nil
}

func (id *Identity) serverTLS(dir Directory) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{id.cert}, ClientAuth: tls.RequireAnyClientCert, NextProtos: []string{"h2"},
		// Resumed sessions skip certificate checks of the ledger's present state; links are long-lived anyway.
		SessionTicketsDisabled: true,
		VerifyConnection: func(s tls.ConnectionState) error {
			key, err := keyOf(s)
			if err != nil {
				return err
			}
			if _, ok := dir.ByKey(key); !ok {
				return errStranger
			}
			return nil
		},
	}
}

func (id *Identity) clientTLS(want ed25519.PublicKey) *tls.Config {
	return &tls.Config{
		MinVersion: tls.VersionTLS13, Certificates: []tls.Certificate{id.cert}, NextProtos: []string{"h2"},
		// No certificate authority takes part: VerifyConnection below compares the key itself.
		InsecureSkipVerify: true, //nolint:gosec // replaced by VerifyConnection, which is stricter
		VerifyConnection: func(s tls.ConnectionState) error {
			key, err := keyOf(s)
			if err != nil {
				return err
			}
			if !key.Equal(want) {
				return errStranger
			}
			return nil
		},
	}
}
