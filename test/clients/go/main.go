// Clients in Go: main CLIENT [FEATURE]. Prints what the programs in other languages print.
package main

import (
	"bufio"
	"context"
	"encoding/json"
	"errors"
	"fmt"
	"io"
	"net/http"
	"os"

	launchdarkly "github.com/launchdarkly/eventsource"
	r3labs "github.com/r3labs/sse/v2"
	openai "github.com/sashabaranov/go-openai"
	"github.com/tmaxmax/go-sse"
)

func main() {
	readers := map[string]func(string) error{"go-sse": goSse, "r3labs": r3labsSse, "launchdarkly": launchdarklySse}
	if read, ok := readers[os.Args[1]]; ok {
		err := read(os.Getenv("URL"))
		fmt.Fprintln(os.Stderr, err)
		// They report the 204 that ends a stream as an error, too.
		fmt.Println("end")
		return
	}
	feature := os.Args[2]
	if feature != "drain" {
		attempt(feature)
		return
	}
	attempt("stream")
	bufio.NewReader(os.Stdin).ReadString('\n')
	attempt("stream")
}

func attempt(feature string) {
	answer, err := goOpenai(feature)
	if err != nil {
		answer = fmt.Sprintf("failed: %T", err)
		fmt.Fprintln(os.Stderr, err)
	}
	fmt.Println(answer)
}

func goOpenai(feature string) (string, error) {
	config := openai.DefaultConfig("k")
	config.BaseURL = os.Getenv("BASE_URL")
	client, ctx := openai.NewClientWithConfig(config), context.Background()
	request := openai.ChatCompletionRequest{Model: os.Getenv("MODEL")}
	say := func(text string) {
		request.Messages = append(request.Messages, openai.ChatCompletionMessage{Role: "user", Content: text})
	}
	ask := func() (openai.ChatCompletionMessage, error) {
		response, err := client.CreateChatCompletion(ctx, request)
		if err != nil {
			return openai.ChatCompletionMessage{}, err
		}
		request.Messages = append(request.Messages, response.Choices[0].Message)
		return response.Choices[0].Message, nil
	}
	say(os.Getenv("PROMPT"))
	switch feature {
	case "stream":
		stream, err := client.CreateChatCompletionStream(ctx, request)
		text := ""
		for err == nil {
			var chunk openai.ChatCompletionStreamResponse
			if chunk, err = stream.Recv(); err == nil && len(chunk.Choices) > 0 && chunk.Choices[0].Delta.Content != "" {
				fmt.Fprintln(os.Stderr, "piece")
				text += chunk.Choices[0].Delta.Content
			}
		}
		if !errors.Is(err, io.EOF) {
			return "", err
		}
		return text, nil
	case "structured":
		place := json.RawMessage(`{"type":"object","properties":{"city":{"type":"string"},"degrees":{"type":"number"}},
			"required":["city","degrees"],"additionalProperties":false}`)
		schema := &openai.ChatCompletionResponseFormatJSONSchema{Name: "place", Schema: place, Strict: true}
		request.ResponseFormat = &openai.ChatCompletionResponseFormat{Type: "json_schema", JSONSchema: schema}
		message, err := ask()
		var answer struct {
			City    string
			Degrees int
		}
		if err == nil {
			err = json.Unmarshal([]byte(message.Content), &answer)
		}
		return fmt.Sprint(answer.City, " ", answer.Degrees), err
	case "tools":
		parameters := json.RawMessage(`{"type":"object","properties":{"city":{"type":"string"}}}`)
		weather := &openai.FunctionDefinition{Name: "weather", Parameters: parameters}
		request.Tools = []openai.Tool{{Type: "function", Function: weather}}
		message, err := ask()
		if err != nil {
			return "", err
		}
		call := message.ToolCalls[0]
		if call.Function.Arguments != `{"city":"Oslo"}` {
			return "", errors.New(call.Function.Arguments)
		}
		output := openai.ChatCompletionMessage{Role: "tool", ToolCallID: call.ID, Content: "12 degrees"}
		request.Messages = append(request.Messages, output)
	case "second":
		if _, err := ask(); err != nil {
			return "", err
		}
		say("And again?")
	}
	message, err := ask()
	return message.Content, err
}

func goSse(url string) error {
	request, err := http.NewRequest(http.MethodGet, url, nil)
	if err != nil {
		return err
	}
	connection := sse.NewConnection(request)
	connection.SubscribeToAll(func(event sse.Event) { fmt.Println(event.Type, event.Data) })
	return connection.Connect()
}

func r3labsSse(url string) error {
	return r3labs.NewClient(url).SubscribeRaw(func(event *r3labs.Event) { fmt.Println(string(event.Event), string(event.Data)) })
}

func launchdarklySse(url string) error {
	stream, err := launchdarkly.SubscribeWithURL(url)
	if err != nil {
		return err
	}
	for {
		select {
		case event, ok := <-stream.Events:
			if !ok {
				return nil
			}
			fmt.Println(event.Event(), event.Data())
		case err := <-stream.Errors:
			fmt.Fprintln(os.Stderr, err)
		}
	}
}
