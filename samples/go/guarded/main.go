// Runs a hybrid whose session has credentials, a policy and a threshold.
//
//	cd samples/go
//	export CGO_CFLAGS=-I$(go list -m -f '{{.Dir}}' github.com/yalue/onnxruntime_go)
//	go build ./guarded && CLOUD_TOKEN=… ./guarded libonnxruntime.so LIBRARY hybrid.onnx 0.9
//
// The hybrid's remote model has auth=oh.Credential("cloud"), and its judge oh.Input("threshold", default=…). The token is
// read from the environment at each call, and goes to the hosts that are named, and nowhere else.
package main

import (
	"fmt"
	"os"
	"strconv"

	"onnxhybrid/samples/operators"

	ort "github.com/yalue/onnxruntime_go"
)

const settings = `{
	"credentials": {"cloud": {"env": "CLOUD_TOKEN", "hosts": ["127.0.0.1"]}},
	"policy": {"budget": {"calls": 100}, "breaker": {"failures": 3}}
}`

func main() {
	if len(os.Args) != 5 {
		fmt.Fprintln(os.Stderr, "usage: guarded RUNTIME LIBRARY hybrid.onnx THRESHOLD")
		os.Exit(2)
	}
	threshold, err := strconv.ParseFloat(os.Args[4], 32)
	var label int64
	if err == nil {
		label, err = classify(os.Args[1], os.Args[2], os.Args[3], float32(threshold))
	}
	if err != nil {
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("label", label)
}

func classify(runtime, library, hybrid string, threshold float32) (int64, error) {
	ort.SetSharedLibraryPath(runtime)
	if err := ort.InitializeEnvironment(ort.WithLogLevelError()); err != nil {
		return 0, err
	}
	defer ort.DestroyEnvironment()
	session, err := opened(runtime, library, hybrid)
	if err != nil {
		return 0, err
	}
	defer session.Destroy()

	pixels := make([]float32, 64)
	for pixel := range pixels {
		pixels[pixel] = float32(pixel % 16)
	}
	image, err := ort.NewTensor(ort.NewShape(1, 64), pixels)
	if err != nil {
		return 0, err
	}
	defer image.Destroy()
	at, err := ort.NewTensor(ort.NewShape(1), []float32{threshold})
	if err != nil {
		return 0, err
	}
	defer at.Destroy()
	outputs := []ort.Value{nil}
	if err := session.Run([]ort.Value{image, at}, outputs); err != nil {
		return 0, err
	}
	defer outputs[0].Destroy()
	return outputs[0].(*ort.Tensor[int64]).GetData()[0], nil
}

func opened(runtime, library, hybrid string) (*ort.DynamicAdvancedSession, error) {
	options, err := ort.NewSessionOptions()
	if err != nil {
		return nil, err
	}
	defer options.Destroy()
	// Before the library is registered, which reads it.
	if err := options.AddSessionConfigEntry("onnxhybrid.session", settings); err != nil {
		return nil, err
	}
	if err := operators.Register(options, runtime, library); err != nil {
		return nil, err
	}
	return ort.NewDynamicAdvancedSession(hybrid, []string{"image", "threshold"}, []string{"label"}, options)
}
