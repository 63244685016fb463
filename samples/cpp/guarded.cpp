// Runs a hybrid whose session has credentials, a policy and a threshold.
//
//     c++ -std=c++17 -I HEADERS samples/cpp/guarded.cpp -o guarded -lonnxruntime
//     CLOUD_TOKEN=… ./guarded LIBRARY hybrid.onnx 0.9
//
// The hybrid's remote model has auth=oh.Credential("cloud"), and its judge oh.Input("threshold", default=…). The token is
// read from the environment at each call, and goes to the hosts that are named, and nowhere else.
#include <array>
#include <cstdint>
#include <iostream>
#include <string>

#include "onnxruntime_cxx_api.h"

constexpr auto SETTINGS = R"({
    "credentials": {"cloud": {"env": "CLOUD_TOKEN", "hosts": ["127.0.0.1"]}},
    "policy": {"budget": {"calls": 100}, "breaker": {"failures": 3}}
})";

int main(int count, char** arguments) try {
    if (count != 4) {
        std::cerr << "usage: guarded LIBRARY hybrid.onnx THRESHOLD\n";
        return 2;
    }
    Ort::Env environment(ORT_LOGGING_LEVEL_ERROR, "guarded");
    Ort::SessionOptions options;
    options.AddConfigEntry("onnxhybrid.session", SETTINGS);  // before the library is registered
    options.RegisterCustomOpsLibrary(arguments[1]);
    Ort::Session session(environment, arguments[2], options);

    std::array<float, 64> image;
    for (std::size_t pixel = 0; pixel < image.size(); pixel++) {
        image[pixel] = static_cast<float>(pixel % 16);
    }
    std::array<float, 1> threshold{std::stof(arguments[3])};
    const std::array<std::int64_t, 2> of_image{1, 64};
    const std::array<std::int64_t, 1> of_threshold{1};
    auto memory = Ort::MemoryInfo::CreateCpu(OrtArenaAllocator, OrtMemTypeDefault);
    const Ort::Value inputs[] = {
        Ort::Value::CreateTensor<float>(memory, image.data(), image.size(), of_image.data(), of_image.size()),
        Ort::Value::CreateTensor<float>(memory, threshold.data(), 1, of_threshold.data(), of_threshold.size()),
    };
    const char* fed[] = {"image", "threshold"};
    const char* wanted[] = {"label"};
    auto outputs = session.Run(Ort::RunOptions{nullptr}, fed, inputs, 2, wanted, 1);
    std::cout << "label " << outputs[0].GetTensorData<std::int64_t>()[0] << "\n";
    return 0;
} catch (const Ort::Exception& problem) {
    std::cout << problem.what() << "\n";
    return 1;
}
