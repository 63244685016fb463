// Package operators registers a library of operators with a session's options, which the published binding does not.
//
// It is compiled against the header that the binding carries:
//
//	export CGO_CFLAGS=-I$(go list -m -f '{{.Dir}}' github.com/yalue/onnxruntime_go)
package operators

/*
#cgo LDFLAGS: -ldl
#include <dlfcn.h>
#include <stdlib.h>
#include "onnxruntime_c_api.h"

// The runtime is loaded already; this finds it once more. The message is freed by the caller with the status.
static OrtStatus *add(const char *runtime, void *options, const char *library, const char **message) {
    void *loaded = dlopen(runtime, RTLD_NOW);
    const OrtApiBase *(*base)(void) = NULL;
    if (loaded) *(void **)&base = dlsym(loaded, "OrtGetApiBase");
    if (!base) {
        *message = "no ONNX Runtime is there";
        return NULL;
    }
    const OrtApi *ort = base()->GetApi(18);
    OrtStatus *status = ort->RegisterCustomOpsLibrary_V2(options, library);
    *message = status ? ort->GetErrorMessage(status) : NULL;
    return status;
}

static void release(const char *runtime, OrtStatus *status) {
    const OrtApiBase *(*base)(void);
    *(void **)&base = dlsym(dlopen(runtime, RTLD_NOW), "OrtGetApiBase");
    base()->GetApi(18)->ReleaseStatus(status);
}
*/
import "C"

import (
	"errors"
	"reflect"
	"unsafe"

	ort "github.com/yalue/onnxruntime_go"
)

// Register adds the operators of the library to the sessions that are opened with these options. The runtime is the
// path that was given to SetSharedLibraryPath.
func Register(options *ort.SessionOptions, runtime, library string) error {
	path, name := C.CString(runtime), C.CString(library)
	defer C.free(unsafe.Pointer(path))
	defer C.free(unsafe.Pointer(name))
	var message *C.char
	// The binding keeps ONNX Runtime's own pointer to itself.
	held := reflect.ValueOf(options).Elem().FieldByName("o").UnsafePointer()
	status := C.add(path, held, name, &message)
	if message == nil {
		return nil
	}
	problem := errors.New(C.GoString(message))
	if status != nil {
		C.release(path, status)
	}
	return problem
}
