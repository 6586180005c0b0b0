#!/bin/sh
# Finding: go-openai loses the error event of a stream if a comment line came before it: Recv returns "unexpected end of JSON
# input" instead of the error. The HTML standard (section 9.2.6) tells clients to ignore comments, and servers send them to
# keep connections alive. Without the comment, Recv returns the error's message.
# Installs pinned packages into a temporary folder, uses loopback only, and exits 1 if the behaviour has changed.
set -eu
folder=$(mktemp -d)
trap 'chmod -R u+w "$folder"; rm -rf "$folder"' EXIT
cd "$folder"
export GOFLAGS=-mod=mod GOMODCACHE="$folder/modules"
go mod init finding 2>/dev/null
go get github.com/sashabaranov/go-openai@v1.43.0 2>/dev/null
cat >main.go <<'GO'
package main

import (
	"context"
	"fmt"
	"net/http"
	"net/http/httptest"
	"os"
	"strings"

	openai "github.com/sashabaranov/go-openai"
)

const event = "data: {\"error\":{\"message\":\"overloaded\",\"type\":\"server_error\",\"param\":null,\"code\":null}}\n\n"

func received(body string) string {
	server := httptest.NewServer(http.HandlerFunc(func(answer http.ResponseWriter, _ *http.Request) {
		answer.Header().Set("Content-Type", "text/event-stream")
		fmt.Fprint(answer, body)
	}))
	defer server.Close()
	config := openai.DefaultConfig("k")
	config.BaseURL = server.URL
	message := openai.ChatCompletionMessage{Role: "user", Content: "hi"}
	request := openai.ChatCompletionRequest{Model: "m", Messages: []openai.ChatCompletionMessage{message}}
	stream, err := openai.NewClientWithConfig(config).CreateChatCompletionStream(context.Background(), request)
	if err != nil {
		return err.Error()
	}
	defer stream.Close()
	_, err = stream.Recv()
	return fmt.Sprint(err)
}

func main() {
	plain, commented := received(event), received(": keep-alive\n\n"+event)
	fmt.Println("go-openai 1.43.0, error of Recv")
	fmt.Println("without a comment:", plain)
	fmt.Println("after a comment:  ", commented)
	if !strings.Contains(plain, "overloaded") || strings.Contains(commented, "overloaded") {
		fmt.Println("changed: the message was expected only without a comment")
		os.Exit(1)
	}
	fmt.Println("as described: after a comment, the message of the error is lost")
}
GO
timeout 120 go run .
