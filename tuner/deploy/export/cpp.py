"""Writes C++ that deploys a configuration with OpenVINO alone."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from tuner.deploy.best import Best
from tuner.deploy.export.exporter import Exporter, comments, model_path, needs_file, plain, shapes_of
from tuner.deploy.export.python import BY_THE_PROCESS
from tuner.deploy.quoting import c_string, comment_lines

HEADERS = """\
#include <openvino/openvino.hpp>

#include <cstdlib>
#include <iostream>
#include <map>
#include <stdexcept>
#include <string>
#include <vector>
"""
IS_CALLED = """\
// The name of an input, or of its node where its tensor has none.
bool is_called(const ov::Output<const ov::Node>& input, const std::string& name) {
    return input.get_names().count(name) != 0 || input.get_node()->get_friendly_name() == name;
}
"""
"""Function of C++ that finds an input by any name."""
CODE = """\
ov::CompiledModel compile(ov::Core& core, const std::string& path = MODEL) {
    auto model = core.read_model(path);
    std::map<std::size_t, ov::PartialShape> shapes;
    for (const auto& named : input_shapes()) {
        std::size_t index = 0;
        while (index < model->inputs().size() && !is_called(model->input(index), named.first)) {
            ++index;
        }
        if (index == model->inputs().size()) {
            throw std::runtime_error("the model has no input " + named.first);
        }
        shapes[index] = named.second;
    }
    if (!shapes.empty()) {
        model->reshape(shapes);
    }
    return core.compile_model(model, DEVICE, properties());
}

// Every request runs once, before several threads do: the first inference is not safe to start in several at once.
std::vector<ov::InferRequest> create_requests(ov::CompiledModel& compiled) {
    std::vector<ov::InferRequest> requests;
    for (std::size_t i = 0; i < INFER_REQUESTS; ++i) {
        requests.push_back(compiled.create_infer_request());
        requests.back().infer();
    }
    return requests;
}

// Usage: deploy [MODEL]. Prints what the device makes of the properties.
int main(int argc, char** argv) {
    take_cpus();
    ov::Core core;
    auto compiled = compile(core, argc > 1 ? argv[1] : MODEL);
    auto requests = create_requests(compiled);
    for (const auto& property : properties()) {
        std::cout << property.first << "=" << compiled.get_property(property.first).as<std::string>() << std::endl;
    }
    for (const auto& input : compiled.inputs()) {
        const auto name = input.get_names().empty() ? input.get_node()->get_friendly_name() : input.get_any_name();
        std::cout << name << " " << input.get_shape() << std::endl;
    }
    std::cout << "requests " << requests.size() << std::endl;
}
"""
NO_SPLIT = "void take_cpus() {}\n"
SPLIT = """\
// Binds this process to its part of the CPUs; the environment says its number, REPLICA.
void take_cpus() {
    const char* const given = std::getenv("REPLICA");
    const int replica = given ? std::atoi(given) : 0;
    cpu_set_t allowed, mine;
    CPU_ZERO(&mine);
    sched_getaffinity(0, sizeof(allowed), &allowed);
    const int count = CPU_COUNT(&allowed);
    for (int cpu = 0, index = 0; cpu < CPU_SETSIZE; ++cpu) {
        if (!CPU_ISSET(cpu, &allowed)) {
            continue;
        }
        if (index >= replica * count / REPLICAS && index < (replica + 1) * count / REPLICAS) {
            CPU_SET(cpu, &mine);
        }
        ++index;
    }
    sched_setaffinity(0, sizeof(mine), &mine);
}
"""


def build(best: Best, unsupported: Sequence[str]) -> Mapping[str, str]:
    """Returns deploy.cpp."""
    is_split = best.affinity == "split"
    properties = [
        f"        {{std::string({c_string(name)}), ov::Any(std::string({c_string(plain(value))}))}},"
        for name, value in best.properties.items()
    ]
    shapes = [
        f"        {{std::string({c_string(name)}), ov::PartialShape({{{', '.join(map(str, shape))}}})}},"
        for name, shape in shapes_of(best).items()
    ]
    lines = [
        *comments(best, unsupported, "//"),
        *comment_lines(["g++ -std=c++17 deploy.cpp -o deploy $(pkg-config --cflags --libs openvino)"], "//"),
        *(["#include <sched.h>"] if is_split else []),
        HEADERS,
        f"const char* const MODEL = {c_string(model_path(best))};",
        f"const char* const DEVICE = {c_string(best.device)};",
        f"constexpr std::size_t INFER_REQUESTS = {best.infer_requests};",
        *([f"constexpr int REPLICAS = {best.replicas};"] if is_split else []),
        "",
        "ov::AnyMap properties() {",
        "    return ov::AnyMap{",
        *properties,
        "    };",
        "}",
        "",
        "std::map<std::string, ov::PartialShape> input_shapes() {",
        "    return std::map<std::string, ov::PartialShape>{",
        *shapes,
        "    };",
        "}",
        "",
        IS_CALLED,
        SPLIT if is_split else NO_SPLIT,
        CODE,
    ]
    return {"deploy.cpp": "\n".join(lines)}


EXPORTER = Exporter(
    name="cpp",
    summary="C++ with OpenVINO alone",
    build=build,
    cannot={**BY_THE_PROCESS, "model": needs_file},
)
