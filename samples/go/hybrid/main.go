// Runs a hybrid without Python: a plain session of ONNX Runtime with one registered library.
//
//	cd samples/go
//	export CGO_CFLAGS=-I$(go list -m -f '{{.Dir}}' github.com/yalue/onnxruntime_go)
//	go build ./hybrid && ./hybrid libonnxruntime.so LIBRARY hybrid.onnx
//
// libonnxruntime.so is of ONNX Runtime 1.24 or later, as the binding wants it. LIBRARY is what oh.library_path() gives.
// The hybrid is as that of samples/digits.py: image float32[n, 64] -> label int64[n].
package main

import (
	"fmt"
	"os"

	"onnxhybrid/samples/operators"

	ort "github.com/yalue/onnxruntime_go"
)

func main() {
	if len(os.Args) != 4 {
		fmt.Fprintln(os.Stderr, "usage: hybrid RUNTIME LIBRARY hybrid.onnx")
		os.Exit(2)
	}
	label, err := classify(os.Args[1], os.Args[2], os.Args[3])
	if err != nil { // such as: [OH501] …, where the cloud cannot be reached
		fmt.Println(err)
		os.Exit(1)
	}
	fmt.Println("label", label)
}

func classify(runtime, library, hybrid string) (int64, error) {
	ort.SetSharedLibraryPath(runtime)
	if err := ort.InitializeEnvironment(ort.WithLogLevelError()); err != nil {
		return 0, err
	}
	defer ort.DestroyEnvironment()
	options, err := ort.NewSessionOptions()
	if err != nil {
		return 0, err
	}
	defer options.Destroy()
	if err := operators.Register(options, runtime, library); err != nil {
		return 0, err
	}
	session, err := ort.NewDynamicAdvancedSession(hybrid, []string{"image"}, []string{"label"}, options)
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
	outputs := []ort.Value{nil}
	if err := session.Run([]ort.Value{image}, outputs); err != nil {
		return 0, err
	}
	defer outputs[0].Destroy()
	return outputs[0].(*ort.Tensor[int64]).GetData()[0], nil
}
