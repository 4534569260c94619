import ModelArchitectures
import ModelCore
import Testing

@Suite struct InitializeWeightsTests {
  private func module(_ file: String, _ name: String, _ layer: Layer) -> Module {
    Module(ClassName(file, name), layer: layer)
  }

  @Test func exactTypesOnly() throws {
    let activation = "torch.nn.modules.activation"
    var root = Module(
      ClassName("torch.nn.modules.container", "Sequential"), layer: .sequential,
      children: [
        "0": module("torch.nn.modules.batchnorm", "BatchNorm2d", .batchNorm(BatchNorm(rank: 2, features: 3))),
        "1": module("torch.nn.modules.batchnorm", "BatchNorm1d", .batchNorm(BatchNorm(rank: 1, features: 3))),
        "2": module("my.net", "BatchNorm2d", .batchNorm(BatchNorm(rank: 2, features: 3))),
        "3": module(activation, "ReLU", .activation(Activation(.relu))),
        "4": module(activation, "GELU", .activation(Activation(.gelu))),
        "5": module(activation, "SiLU", .activation(Activation(.silu))),
        "6": module(activation, "ReLU6", .activation(Activation(.relu6))),
        "7": module(activation, "LeakyReLU", .activation(Activation(.leakyReLU))),
        "8": module(activation, "Hardswish", .activation(Activation(.hardswish))),
        "9": module(activation, "Hardsigmoid", .activation(Activation(.hardsigmoid))),
      ])
    #expect(root.initializeWeights() == 6)
    #expect(root["0"]?.layer == .batchNorm(BatchNorm(rank: 2, features: 3, eps: 1e-3, momentum: 0.03)))
    #expect(root["0"]?.attributes["eps"] == .double(1e-3) && root["0"]?.attributes["momentum"] == .double(0.03))
    for name in ["1", "2", "4", "9"] { #expect(root[name]?.attributes.isEmpty == true) }
    for name in ["3", "5", "6", "7", "8"] { #expect(root[name]?.attributes["inplace"] == .bool(true)) }
    #expect(root["5"]?.layer == .activation(Activation(.silu, isInPlace: true)))
  }

  @Test func sharedModulesChangeEverywhere() throws {
    let shared = module("torch.nn.modules.activation", "SiLU", .activation(Activation(.silu)))
    var root = Module(ClassName("my.net", "Net"), children: ["a": shared, "b": shared])
    #expect(root.initializeWeights() == 1)
    #expect(root["b"]?.attributes["inplace"] == .bool(true))
  }
}
