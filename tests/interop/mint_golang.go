// Signs a token with golang-jwt.
//
// Reads {"alg": "...", "key": "<text secret or PEM>", "claims": {...}, "headers": {...}} from stdin, prints the token.
// The header has alg and typ = "JWT"; "headers" adds to it.
package main

import (
	"encoding/json"
	"fmt"
	"os"
	"strings"

	"github.com/golang-jwt/jwt"
)

type order struct {
	Alg     string                 `json:"alg"`
	Key     string                 `json:"key"`
	Claims  jwt.MapClaims          `json:"claims"`
	Headers map[string]interface{} `json:"headers"`
}

func key(algorithm, text string) (interface{}, error) {
	switch {
	case strings.HasPrefix(algorithm, "HS"):
		return []byte(text), nil
	case strings.HasPrefix(algorithm, "ES"):
		return jwt.ParseECPrivateKeyFromPEM([]byte(text))
	case algorithm == "EdDSA":
		return jwt.ParseEdPrivateKeyFromPEM([]byte(text))
	default:
		return jwt.ParseRSAPrivateKeyFromPEM([]byte(text))
	}
}

func mint() (string, error) {
	var wanted order
	input := json.NewDecoder(os.Stdin)
	// A number stays what it is.
	input.UseNumber()
	if err := input.Decode(&wanted); err != nil {
		return "", err
	}
	token := jwt.NewWithClaims(jwt.GetSigningMethod(wanted.Alg), wanted.Claims)
	for name, value := range wanted.Headers {
		token.Header[name] = value
	}
	signer, err := key(wanted.Alg, wanted.Key)
	if err != nil {
		return "", err
	}
	return token.SignedString(signer)
}

func main() {
	token, err := mint()
	if err != nil {
		fmt.Fprintln(os.Stderr, err)
		os.Exit(1)
	}
	fmt.Println(token)
}
