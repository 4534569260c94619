import ModelArchitectures
import ModelCore
import ModelGraph
import ModelRandom
import TestSupport
import Testing

/// Layers as PyTorch's constructors make them. The numbers are those of
/// `torch.manual_seed(0); Conv2d(2, 3, (1, 2), stride=2, padding=(0, 1)); Linear(3, 2)`.
@Suite struct ModuleFactoriesTests {
  @Test func valuesAreThoseOfTheConstructors() throws {
    var generator = TorchGenerator(seed: 0)
    let conv = try Module.conv2d(2, 3, kernelSize: [1, 2], stride: [2, 2], padding: [0, 1], using: &generator)
    let linear = try Module.linear(3, 2, using: &generator)
    #expect(conv.parameters["weight"]?.tensor.shape == [3, 2, 1, 2])
    #expect(
      try conv.parameters["weight"]?.tensor.floats() == [
        -0.003743410110473633, 0.26822179555892944, -0.4115225672721863, -0.3679695129394531, -0.19257718324661255,
        0.13407868146896362, -0.009906589984893799, 0.39644473791122437, -0.04437202215194702, 0.1323062777519226,
        -0.15110653638839722, -0.09828269481658936,
      ])
    #expect(
      try conv.parameters["bias"]?.tensor.floats() == [-0.4776742458343506, -0.33114105463027954, -0.20611155033111572])
    #expect(
      try linear.parameters["weight"]?.tensor.floats() == [
        0.021387115120887756, 0.22824688255786896, 0.34642332792282104, -0.3914094567298889, -0.25141456723213196,
        0.2097034901380539,
      ])
    #expect(try linear.parameters["bias"]?.tensor.floats() == [0.47942468523979187, -0.11881878226995468])
  }

  @Test func ofTensors() throws {
    let conv = try Module.conv2d(weight: Tensor([1, 2, 3, 4], [2, 2, 1, 1]), bias: Tensor([0, 1]), padding: 1)
    guard case .convolution(let layer) = conv.layer else { throw ModelError(.mismatch, "is no convolution") }
    #expect(layer.inChannels == 2 && layer.outChannels == 2 && layer.padding == [1, 1])
    let net = try Module.sequential([
      conv,
      .batchNorm2d(
        weight: Tensor([2, 1]), bias: Tensor([0, 0]), runningMean: Tensor([0, 1]), runningVar: Tensor([4, 1]), eps: 0),
      .adaptiveAvgPool2d(1), .flatten(), .linear(weight: Tensor([1, 1], [1, 2])),
    ])
    try net.validate()
    // One pixel [1, 1]: 3 and 8 in the middle of nine places, elsewhere the biases.
    let output = try Graph(net).reference([Tensor([1, 1], [1, 2, 1, 1])])[0]
    #expect(try output.isClose(to: Tensor([Float(3.0 / 9 + 7.0 / 9)], [1, 1])))
  }

  @Test func whatPyTorchRefuses() throws {
    var generator = TorchGenerator(seed: 0)
    #expect(
      refusal { _ = try Module.conv2d(3, 4, kernelSize: 3, groups: 2, using: &generator) }?
        .hasPrefix("there is no convolution of 3 to 4 channels in 2 groups") == true)
    #expect(refusal { _ = try Module.conv2d(3, 4, kernelSize: [3], using: &generator) } != nil)
    #expect(refusal { _ = try Module.linear(0, 4, using: &generator) } == "there is no Linear of 0 to 4 features")
    #expect(
      refusal { _ = try Module.multiheadAttention(5, heads: 2, using: &generator) }
        == "attention of 5 features cannot have 2 heads")
    #expect(refusal { _ = try Module.multiheadAttention(4, heads: 0, using: &generator) } != nil)
    #expect(refusal { _ = try Module.batchNorm2d(0) } == "0 is no size of a layer")
    #expect(refusal { _ = try Module.dropout(1.5) } == "the probability 1.5 is not 0 to 1")
    #expect(
      refusal { _ = try Module.maxPool2d(2, padding: 2) }
        == "there is no MaxPool2d with kernel 2, stride 2 and padding 2")
    #expect(refusal { _ = try Module.upsample(scale: 0) } == "0.0 is no factor")
    #expect(refusal { _ = try Module.activation(.prelu) } == "a PReLU needs numbers of its own")
    #expect(
      refusal { _ = try Module.conv2d(weight: Tensor([1, 2], [2, 1])) }
        == "a Conv2d takes a weight of four axes, not of shape [2, 1], and sizes above 0")
    #expect(
      refusal { _ = try Module.conv2d(weight: Tensor([1, 2], [2, 1, 1, 1]), bias: Tensor([1])) }
        == "its bias has shape [1], its configuration gives [2]")
    #expect(
      refusal { _ = try Module.batchNorm2d(weight: Tensor([1]), runningMean: Tensor([1]), runningVar: Tensor([1])) }
        == "has no bias")
  }
}
