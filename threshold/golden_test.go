package threshold

import (
	"crypto/sha256"
	"encoding/hex"
	"fmt"
	"slices"
	"testing"
)

// Made with github.com/gtank/ristretto255, another implementation of the group than that of
// today: what comes out must stay the same, byte for byte. Custodians hold shares under them.
const goldenGenerators = "516af2170dc469f88a6cb036744d966c393a1289308b41025a4f8e6f9cf13667"

type goldenDealing struct {
	count, n, t int
	commitments []string // the first three
	all, shares string   // SHA-256 over all of them
	next        string   // over those of the first t custodians' resharing to 7, 5 of them needed
}

var goldenDealings = []goldenDealing{
	{
		1, 4, 3,
		[]string{
			"6cc0a7c176cbcdde1f95a0b64e8971dca35ab31677de33d7aabd01683e875561",
			"daa1992dc323aea0448caa530fd613771565cb14802b17efed2814e55eae5715",
			"7c95cd03c4679d28b5b055854cb757fb3f81afbc6646994d1ab19e23b85a2d49",
		},
		"e257d9ce04278785b1dff48dac42459f3ba733f3af5f1f0f6ee7c2d927ed7a8c",
		"efb4eb42fba0bec480f961945821aabbf11534672c8d3b3355e90eb5cc7a0fa6",
		"36ce5a8d58e5f722697e9a0409058fc3d322a4edb58c785e30708883b5a28cc4",
	},
	{
		2, 4, 3,
		[]string{
			"be511ec7d36e9788ee5c834f096da2025a3901c909486febe55f3279cb1db40b",
			"761707dc9b0927ba2e11640d7057b918b5ea5acc6ae56b0bbb7aa6db687f9f15",
			"c26d360bd4431bb8d3470529d1812ced70890bf08879f7fc8143b4c89feae06e",
		},
		"ec8eedce323261756ff08a3f1b3a22b59edcc3d4ee725458e9cd55fb6bec168c",
		"a8823289a46a45dcc94ec3106f7d18f48fc4856c5b285c967d5f767477237af2",
		"56c70f999059a29716397eba8db17f26e2becf9876a8e8058119af5700306cf4",
	},
	{
		17, 4, 3,
		[]string{
			"94d828f48991024647e22ebeb3dd48b7f07a139c73569b119364abeb38451a2b",
			"c0c77883a20e70212098484b6d3110afd6c2422bf86f1d543f4c79360f5ac001",
			"8474ca447f8d5c3d506aaaab21c06796cc6d227c7b8a696081e46276eb9e2a49",
		},
		"dd2b3d528beace9deac0cd0d983fae69628e5d9ad44037358ec58ba3b2fea8ea",
		"3342c51d2f175bbecb632dfaa62719c8233dbf39d309517d414c260559288c05",
		"244273e3ebda14c9a5dae030bf67286ac25a1403acd0c50e93c9ab4360a4d12b",
	},
	{
		300, 4, 3,
		[]string{
			"c01f9297898f899f86790f3e8d1786acfd338010b849835d1845575550278a32",
			"76e125a15233cbbe6c0714032a7d0ee6b0e291575b1149de3149995176b93a69",
			"3ee40e55fd8eb0efa905228a12f53e05c6cc36ab71a4efe25aa8917b35ff9e23",
		},
		"dea284521b837623742b66d662fe5bc16c429032aee66dbf791f47a3c6c717d7",
		"ceb499f2b3342d0924ab334a7e16f09a3174692fb433704e209b96d11ed7b7af",
		"e074b3dc325382c0158a76fc9de6f484c8a2f742c25dd80ad588c2c62d165188",
	},
	{
		1024, 4, 3,
		[]string{
			"06fe081c3ced1a94979d91329ac8d524ab67ad366a8030f56118ba79c2274e0a",
			"fa29ae5b5f2dc783237a5c780d6c81807cfcc222b500c9e53c2c1e897b5d8307",
			"1471a3ea8d929052911c507507efe7bb8d122246677b4724fb6edffdaa335339",
		},
		"85cf36a7f32e9cfba575e3995f327af312d5e9463882e69682f0b730eb0ed010",
		"5a5c5403301f81924d41d8eede58ffcd4255bed75838ab2eb6c9c7d4fca4dce3",
		"f86aa217bff703a938421922d42741fcdbc9ee1cadf780889a92d0f290425503",
	},
	{
		2, 64, 43,
		[]string{
			"c247471f5f41498f6e4e745cf66920f95dd346d2c3810777e6895b275758c62a",
			"a898892d64e573b0eb70f5eef3c02dced5c12d9846e2adf3b13c35070ffef877",
			"0256300f182b161f29078bb5e01c538bfdd451a4a00169a8a60aba3e5472462e",
		},
		"4d66f11ae946a7e3a8787f39324436c49dfeeaacc2ef1c0320d12f847708df36",
		"53bcebe936f1ef52ed4099a86078381cfb00137f02cad12a5251bacd42ef6f0f",
		"25f8c22ee5ad8c513c242ca20acd38d1f1d769fc52250c9d0945b5461acdd058",
	},
}

func digest(list [][32]byte) string {
	h := sha256.New()
	for _, b := range list {
		h.Write(b[:])
	}
	return hex.EncodeToString(h.Sum(nil))
}

func TestGeneratorsAreThoseOfTheOtherImplementation(t *testing.T) {
	var list [][32]byte
	for _, g := range generators() {
		list = append(list, encode(g))
	}
	if got := digest(list); got != goldenGenerators {
		t.Errorf("got %s, want %s", got, goldenGenerators)
	}
	for r, table := range tables() {
		if got := encode(table.Basepoint()); got != list[r] {
			t.Errorf("table %d: got that of %x, want that of %x", r, got, list[r])
		}
	}
}

func TestDealingsAreThoseOfTheOtherImplementation(t *testing.T) {
	for _, c := range goldenDealings {
		t.Run(fmt.Sprintf("%d of %d", c.count, c.n), func(t *testing.T) {
			label := fmt.Sprint("golden ", c.count)
			d, err := Deal(stream(label), c.count, c.n, c.t)
			if err != nil {
				t.Fatal(err)
			}
			var first []string
			for _, e := range d.Commitments[:3] {
				first = append(first, hex.EncodeToString(e[:]))
			}
			if !slices.Equal(first, c.commitments) {
				t.Errorf("commitments: got %v, want %v", first, c.commitments)
			}
			if got := digest(d.Commitments); got != c.all {
				t.Errorf("all commitments: got %s, want %s", got, c.all)
			}
			var shares [][32]byte
			for i, v := range d.Shares {
				if err := Verify(d.Commitments, i+1, v); err != nil {
					t.Errorf("custodian %d: got %v, want nil", i+1, err)
				}
				for _, s := range v {
					shares = append(shares, s)
				}
			}
			if got := digest(shares); got != c.shares {
				t.Errorf("shares: got %s, want %s", got, c.shares)
			}
			var used []int
			var lists [][][32]byte
			for i := 1; i <= c.t; i++ {
				s, err := Subdeal(stream(fmt.Sprint(label, "/", i)), d.Shares[i-1], 7, 5)
				if err != nil {
					t.Fatal(err)
				}
				used, lists = append(used, i), append(lists, s.Commitments)
			}
			next, err := NextCommitments(used, lists)
			if err != nil {
				t.Fatal(err)
			}
			if got := digest(next); got != c.next {
				t.Errorf("next commitments: got %s, want %s", got, c.next)
			}
		})
	}
}
