import ModelArchitectures
import ModelCore
import ModelInspection
import Testing

@Suite struct ModelInfoTests {
  private func conv(_ weight: Parameter) -> Module {
    Module(ClassName("torch.nn.modules.conv", "Conv2d"), parameters: ["weight": weight])
  }

  @Test func sharedModulesAndParametersCountOnce() throws {
    let weight = Parameter(try Tensor(.float32, [4, 3, 1, 1]))
    let frozen = Parameter(try Tensor(.float32, [5]), requiresGrad: false)
    let first = conv(weight)
    var norm = Module(ClassName("torch.nn.modules.batchnorm", "BatchNorm2d"), parameters: ["weight": frozen])
    norm.buffers = ["running_mean": try Tensor(.float32, [5]), "num_batches_tracked": try Tensor(.int64, [])]
    let root = Module(
      ClassName("torch.nn.modules.container", "Sequential"), layer: .sequential,
      children: ["0": first, "1": norm, "2": first, "3": conv(weight)])
    let info = root.modelInfo()
    #expect(info.layers == 4 && info.parameters == 17 && info.gradients == 12 && info.buffers == 6)
    #expect(info.description == "Model Summary: 4 layers, 17 parameters, 12 gradients")
    #expect(info.modules.map(\.name) == ["", "0", "1", "3"])
  }

  @Test func bareStateDicts() throws {
    let state = StateDict([
      "a.conv.weight": try Tensor(.float16, [2, 3, 1, 1]), "a.bn.running_var": try Tensor(.float32, [7]),
      "a.bn.num_batches_tracked": try Tensor(.int64, []), "b": try Tensor(.float32, [0]),
    ])
    let info = state.modelInfo()
    #expect(info.layers == 4, "the root, a, a.conv, a.bn")
    #expect(info.parameters == 6 && info.gradients == 6 && info.buffers == 8)
    #expect(StateDict().modelInfo().layers == 1)
  }

  @Test func builtInArchitectures() throws {
    let info = try Architecture(named: "yolov5n").module().modelInfo()
    #expect(info.description == "Model Summary: 214 layers, 1872157 parameters, 1872157 gradients, 4.6 GFLOPs")
  }
}
