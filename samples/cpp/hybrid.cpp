// Runs a hybrid without Python: a plain session of ONNX Runtime with one registered library.
//
//     c++ -std=c++17 -I HEADERS samples/cpp/hybrid.cpp -o hybrid -lonnxruntime
//     ./hybrid LIBRARY hybrid.onnx
//
// HEADERS has onnxruntime_cxx_api.h, of ONNX Runtime 1.18 or later. LIBRARY is what oh.library_path() gives. The hybrid is
// as that of samples/digits.py: image float32[n, 64] -> label int64[n].
#include <array>
#include <cstdint>
#include <iostream>

#include "onnxruntime_cxx_api.h"

int main(int count, char** arguments) try {
    if (count != 3) {
        std::cerr << "usage: hybrid LIBRARY hybrid.onnx\n";
        return 2;
    }
    Ort::Env environment(ORT_LOGGING_LEVEL_ERROR, "hybrid");
    Ort::SessionOptions options;
    options.RegisterCustomOpsLibrary(arguments[1]);
    Ort::Session session(environment, arguments[2], options);

    std::array<float, 64> image;
    for (std::size_t pixel = 0; pixel < image.size(); pixel++) {
        image[pixel] = static_cast<float>(pixel % 16);
    }
    const std::array<std::int64_t, 2> shape{1, 64};
    auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    auto input = Ort::Value::CreateTensor<float>(memory, image.data(), image.size(), shape.data(), shape.size());
    const char* fed[] = {"image"};
    const char* wanted[] = {"label"};
    auto outputs = session.Run(Ort::RunOptions{nullptr}, fed, &input, 1, wanted, 1);
    std::cout << "label " << outputs[0].GetTensorData<std::int64_t>()[0] << "\n";
    return 0;
} catch (const Ort::Exception& problem) {  // such as: [OH501] …, where the cloud cannot be reached
    std::cout << problem.what() << "\n";
    return 1;
}
