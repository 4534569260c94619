import ModelArchitectures
import ModelCore
import ModelGraph
import TestSupport
import Testing

/// torch.nn's layers beyond those of classifiers. What they compute is compared with the original's elsewhere.
@Suite struct FurtherLayersTests {
  private func layer(_ layer: Layer, _ weights: [String: [Int]] = [:]) -> Module {
    var module = Make.layer("torch.nn.modules.any.Layer", layer)
    for (name, shape) in weights { module.parameters[name] = Parameter(Make.zeros(shape)) }
    return module
  }

  private func refusal(_ module: Module, _ inputs: [TensorType], mode: Graph.Mode = .inference) -> String? {
    do { _ = try Graph(module, mode: mode, inputCount: inputs.count).types(of: inputs) } catch { return "\(error)" }
    return nil
  }

  private func refusal(_ module: Module, _ shape: Int...) -> String? { refusal(module, [TensorType(.float32, shape)]) }

  private func lstm(_ change: (inout Recurrent) -> Void = { _ in }) -> Module {
    var recurrent = Recurrent(.lstm, inputSize: 3, hiddenSize: 4)
    change(&recurrent)
    return layer(
      .recurrent(recurrent),
      ["weight_ih_l0": [16, 3], "weight_hh_l0": [16, 4], "bias_ih_l0": [16], "bias_hh_l0": [16]])
  }

  @Test func sequences() throws {
    let graph = try Graph(lstm())
    #expect(try graph.outputShapes(of: [5, 2, 3]) == [[5, 2, 4], [1, 2, 4], [1, 2, 4]])
    #expect(try Graph(lstm { $0.isBatchFirst = true }).outputShapes(of: [2, 5, 3]).first == [2, 5, 4])
    let states = [[5, 2, 3], [1, 2, 4], [1, 2, 4]].map { TensorType(.float32, $0) }
    #expect(refusal(lstm(), states) == nil)
    #expect(
      refusal(lstm(), Array(states.prefix(2)))?.contains("takes a sequence, and perhaps its first states") == true)
    #expect(refusal(lstm { $0.layers = 2 }, 5, 2, 3)?.contains("'weight_ih_l1'") == true)
    #expect(refusal(lstm { $0.isBidirectional = true }, 5, 2, 3)?.contains("'weight_ih_l0_reverse'") == true)
    #expect(refusal(lstm { $0.projectionSize = 2 }, 5, 2, 3)?.contains("'weight_hr_l0'") == true)
    for layers in [0, -1, .max] {
      #expect(refusal(lstm { $0.layers = layers }, 5, 2, 3)?.contains("'num_layers'") == true)
    }
    for hidden in [0, -4, .max] {
      #expect(refusal(lstm { $0.hiddenSize = hidden }, 5, 2, 3)?.contains("'num_layers'") == true)
    }
    #expect(refusal(lstm { $0.hiddenSize = 5 }, 5, 2, 3) == "its configuration is no valid one")
  }

  /// What the layers' classes may be told, and nobody would.
  @Test func whatIsNoConfiguration() {
    let huge = 1 << 40
    for (module, part) in [
      (layer(.localResponseNorm(LocalResponseNorm(size: 0))), "'size'"),
      (layer(.localResponseNorm(LocalResponseNorm(size: huge))), "'size'"),
      (layer(.channelShuffle(groups: 0)), "'groups'"), (layer(.channelShuffle(groups: -2)), "'groups'"),
      (layer(.unflatten(Unflatten(axis: 1, sizes: []))), "'unflattened_size'"),
      (layer(.unflatten(Unflatten(axis: huge, sizes: [1]))), "'unflattened_size'"),
      (layer(.unflatten(Unflatten(axis: 1, sizes: [-2, 2]))), "'unflattened_size'"),
      (layer(.unflatten(Unflatten(axis: 1, sizes: [-1, -1]))), "two axes are left open"),
      (layer(.unflatten(Unflatten(axis: 4, sizes: [1]))), "axis"),
      (layer(.unfold(Unfold(kernelSize: [100, 100]))), "more than 4096 elements"),
      (layer(.unfold(Unfold(kernelSize: [2, 2], stride: [0, 1]))), "'kernel_size'"),
      (layer(.unfold(Unfold(kernelSize: [huge, huge]))), "'kernel_size'"),
      (layer(.unfold(Unfold(kernelSize: [5, 5]))), "its window is larger than its input of 3"),
      (layer(.powerPool(PowerPool(norm: 0, kernelSize: [2, 2]))), "'norm_type'"),
      (layer(.powerPool(PowerPool(norm: .nan, kernelSize: [2, 2]))), "'norm_type'"),
      (layer(.powerPool(PowerPool(norm: 2, kernelSize: [2, huge]))), "'norm_type'"),
      (layer(.instanceNorm(InstanceNorm(rank: 2, features: huge))), "'num_features'"),
      (layer(.instanceNorm(InstanceNorm(rank: 1, features: 4))), "takes 3 axes"), (layer(.glu(axis: 5)), "axis 5"),
      (layer(.bilinear(Bilinear(firstFeatures: 1, secondFeatures: 1, outFeatures: 1))), "takes 2 tensors"),
    ] {
      #expect(
        refusal(module, 1, 4, 3, 3)?.contains(part) == true, "\(module.layer): \(refusal(module, 1, 4, 3, 3) ?? "")")
    }
    #expect(
      refusal(layer(.unfold(Unfold(kernelSize: [3, 3], outputSize: [2, 2]))), 1, 9, 1)?.contains("'output_size'")
        == true)
  }

  /// A batch norm that averages all batches takes their number along; one that counts none leaves its statistics.
  @Test func cumulativeAverages() throws {
    var norm = Make.norm(4)
    norm.layer = .batchNorm(BatchNorm(rank: 2, features: 4, momentum: nil))
    let uncounted = try Graph(norm, mode: .training)
    #expect(uncounted.nodes.map(\.operation).contains(.batchNorm(.training(momentum: 0), eps: 1e-5)))
    norm.buffers["num_batches_tracked"] = try Tensor(integers: [3], .int64, [])
    let counted = try Graph(norm, mode: .training)
    #expect(counted.nodes.first { $0.operation.isBatchNorm }?.operands.count == 6)
    #expect(counted.updates.keys == ["running_mean", "running_var", "num_batches_tracked"])
  }

  /// A frozen batch norm is none of torch.nn's, and the same in training.
  @Test func frozenBatchNorms() throws {
    var norm = Make.layer(
      "torchvision.ops.misc.FrozenBatchNorm2d",
      .batchNorm(BatchNorm(rank: 2, features: 4, momentum: nil, isFrozen: true)))
    for name in ["weight", "bias", "running_mean", "running_var"] { norm.buffers[name] = Make.zeros([4]) }
    for mode in [Graph.Mode.inference, .training] {
      let graph = try Graph(norm, mode: mode)
      #expect(graph.nodes.map(\.operation) == [.batchNorm(.inference, eps: 1e-5)] && graph.updates.isEmpty)
    }
    let pair = try Graph(Make.sequential(Make.conv(3, 4), norm))
    #expect(pair.normalizedLayers().count == 1)
  }

  @Test func transformersNameTheirActivation() throws {
    let parts = [
      "self_attn": Make.activation(), "linear1": Make.linear(4, 8), "dropout": Make.activation(),
      "linear2": Make.linear(8, 4), "norm1": Make.activation(), "norm2": Make.activation(),
      "dropout1": Make.activation(), "dropout2": Make.activation(),
    ]
    var block = Make.module(
      "torch.nn.modules.transformer.TransformerEncoderLayer", attributes: ["activation": .opaque("my.functions.swish")],
      OrderedDictionary(uniqueKeysWithValues: Array(parts)))
    block.children["self_attn"] = Make.layer(
      "torch.nn.modules.activation.MultiheadAttention",
      .multiheadAttention(MultiheadAttention(embeddingSize: 4, heads: 2)),
      ["out_proj": Make.linear(4, 4)])
    block.children["self_attn"]?.parameters["in_proj_weight"] = Parameter(Make.zeros([12, 4]))
    #expect(refusal(block, 5, 2, 4)?.contains("no usable attribute 'activation'") == true)
    for name in ["torch.nn.functional.relu", "torch._C._nn.gelu"] {
      block.attributes["activation"] = .opaque(name)
      #expect(try Graph(block).outputShapes(of: [5, 2, 4]) == [[5, 2, 4]])
    }
  }
}
