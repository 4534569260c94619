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

  @Test func extrapolatedFlops() throws {
    func layer(_ path: String, _ name: String, _ layer: Layer, weight: [Int]? = nil) throws -> Module {
      Module(
        ClassName(path, name), layer: layer,
        parameters: try weight.map { ["weight": Parameter(try Tensor(.float32, $0))] } ?? [:])
    }
    let net = try Module(
      ClassName("torch.nn.modules.container", "Sequential"), layer: .sequential,
      children: [
        "0": layer(
          "torch.nn.modules.conv", "Conv2d",
          .convolution(Convolution(inChannels: 3, outChannels: 2, kernelSize: [2, 2], stride: [2, 2])),
          weight: [2, 3, 2, 2]),
        "1": layer(
          "torch.nn.modules.pooling", "AdaptiveAvgPool2d", .adaptivePool(AdaptivePool(.average, outputSize: [1, 1]))),
        "2": layer("torch.nn.modules.flatten", "Flatten", .flatten(Flatten())),
        "3": layer(
          "torch.nn.modules.linear", "Linear", .linear(Linear(inFeatures: 2, outFeatures: 5)), weight: [5, 2]),
      ])
    // Twice 384 and 2304 of the convolution, 34 and 194 of the pool, 10 of the linear layer.
    let (small, large): (Double, Double) = (856, 5016)
    let figure = try #require(net.modelInfo(imageSize: (24, 16), extrapolatingFrom: 8).gflops)
    #expect(figure.extrapolated == small / 1e9 * 6)
    #expect(figure.thop == large / 1e9)
    #expect(net.modelInfo(imageSize: (24, 16)).gflops?.extrapolated == nil)
    let unfit = net.modelInfo(imageSize: (24, 16), extrapolatingFrom: 1)
    #expect(unfit.gflops == nil && unfit.gflopsReason == "0: its window is larger than its input of 1")
  }
}

extension ModelInfoTests {
  /// Inputs that are no pictures.
  @Test func inputsOfAnyShape() throws {
    var conv = Module(
      ClassName("torch.nn.modules.conv", "Conv1d"),
      layer: .convolution(Convolution(inChannels: 2, outChannels: 4, kernelSize: [3])))
    conv.parameters["weight"] = Parameter(try Tensor(.float32, [4, 2, 3]))
    let info = conv.modelInfo(inputShapes: [[5, 2, 10]])
    #expect(info.gflops?.macs == 5 * 4 * 8 * 6 / 1e9 && info.notCounted.isEmpty)
    #expect(conv.modelInfo().gflopsReason?.contains("takes 3 axes") == true)
    #expect(conv.modelInfo(inputShapes: []).gflopsReason != nil)
    #expect(conv.modelInfo(inputShapes: [[-1, 2, 10]]).gflopsReason?.contains("-1 elements") == true)
  }

  /// One step for each entry of the batch. thop takes the features of an input without a batch for entries.
  @Test func recurrentCells() throws {
    for (kind, operations) in [(Recurrent.Kind.rnnReLU, 45.0), (.gru, 155), (.lstm, 200)] {
      var cell = Module(
        ClassName("torch.nn.modules.rnn", "Cell"),
        layer: .recurrentCell(RecurrentCell(kind, inputSize: 3, hiddenSize: 5, hasBias: false)))
      cell.parameters["weight_ih"] = Parameter(try Tensor(.float32, [5 * kind.gates, 3]))
      cell.parameters["weight_hh"] = Parameter(try Tensor(.float32, [5 * kind.gates, 5]))
      let products = Double(kind.gates * 5 * 8)
      let batch = try #require(cell.modelInfo(inputShapes: [[4, 3]]).gflops)
      #expect(batch.macs == 4 * products / 1e9)
      #expect(batch.thop == 8 * operations / 1e9 && batch.ultralytics == 8 * operations / 1e9)
      let alone = try #require(cell.modelInfo(inputShapes: [[3]]).gflops)
      #expect(alone.macs == products / 1e9)
      #expect(alone.thop == 6 * operations / 1e9 && alone.ultralytics == 2 * operations / 1e9)
    }
  }
}
