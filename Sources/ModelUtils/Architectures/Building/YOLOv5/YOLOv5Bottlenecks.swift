import ModelCore

/// Blocks made of several convolutions.
extension YOLOv5Blocks {
  /// What the blocks with repeats have in common: how many, whether with shortcuts, groups, and the share of hidden
  /// channels.
  struct Stack {
    var repeats = 1
    var hasShortcut = true
    var groups = 1
    var expansion = 0.5

    /// Python's `int(outputs * e)`.
    func hidden(_ outputs: Int) -> Int { Int(max(0, min(Double(outputs) * expansion, 0x1p40))) }
  }

  func bottleneck(_ inputs: Int, _ outputs: Int, _ stack: Stack) -> Module {
    let hidden = stack.hidden(outputs)
    return make.module(
      Self.className("Bottleneck"), attributes: ["add": .bool(stack.hasShortcut && inputs == outputs)],
      ["cv1": conv(inputs, hidden), "cv2": conv(hidden, outputs, 3, groups: stack.groups)])
  }

  func cross(_ inputs: Int, _ outputs: Int, kernel: Int, stride: Int, _ stack: Stack) -> Module {
    let hidden = stack.hidden(outputs)
    return make.module(
      Self.className("CrossConv"), attributes: ["add": .bool(stack.hasShortcut && inputs == outputs)],
      [
        "cv1": conv(inputs, hidden, [1, kernel], stride: [1, stride]),
        "cv2": conv(hidden, outputs, [kernel, 1], stride: [stride, 1], groups: stack.groups),
      ])
  }

  func csp(_ inputs: Int, _ outputs: Int, _ stack: Stack) -> Module {
    let hidden = stack.hidden(outputs)
    return make.module(
      Self.className("BottleneckCSP"),
      [
        "cv1": conv(inputs, hidden), "cv2": make.conv2d(inputs, hidden, 1, bias: false),
        "cv3": make.conv2d(hidden, hidden, 1, bias: false), "cv4": conv(2 * hidden, outputs),
        "bn": make.batchNorm2d(2 * hidden), "act": make.activation(.silu), "m": bottlenecks(hidden, stack),
      ])
  }

  private func bottlenecks(_ channels: Int, _ stack: Stack) -> Module {
    var inner = stack
    inner.expansion = 1
    return make.sequential(make.repeated(stack.repeats) { bottleneck(channels, channels, inner) })
  }

  /// C3 and its heirs, which make their own middle after C3's, whose draws are lost.
  func c3(_ inputs: Int, _ outputs: Int, _ stack: Stack, name: String = "C3", middle: ((Int) -> Module)? = nil)
    -> Module
  {
    let hidden = stack.hidden(outputs)
    var children: OrderedDictionary<String, Module> = [
      "cv1": conv(inputs, hidden), "cv2": conv(inputs, hidden), "cv3": conv(2 * hidden, outputs),
      "m": bottlenecks(hidden, stack),
    ]
    if let middle { children["m"] = middle(hidden) }
    return make.module(Self.className(name), children)
  }

  func c3x(_ inputs: Int, _ outputs: Int, _ stack: Stack) -> Module {
    c3(inputs, outputs, stack, name: "C3x") { hidden in
      var inner = stack
      inner.expansion = 1
      return make.sequential(make.repeated(stack.repeats) { cross(hidden, hidden, kernel: 3, stride: 1, inner) })
    }
  }

  func c3Transformer(_ inputs: Int, _ outputs: Int, _ stack: Stack) -> Module {
    c3(inputs, outputs, stack, name: "C3TR") { transformer($0, heads: 4, layers: stack.repeats) }
  }

  func c3Pyramid(_ inputs: Int, _ outputs: Int, kernels: [Int], _ stack: Stack) -> Module {
    c3(inputs, outputs, stack, name: "C3SPP") { pyramid($0, $0, kernels) }
  }

  func c3Ghost(_ inputs: Int, _ outputs: Int, _ stack: Stack) -> Module {
    c3(inputs, outputs, stack, name: "C3Ghost") { hidden in
      make.sequential(make.repeated(stack.repeats) { ghostBottleneck(hidden, hidden) })
    }
  }

  func ghostBottleneck(_ inputs: Int, _ outputs: Int, kernel: Int = 3, stride: Int = 1) -> Module {
    let half = outputs / 2
    let isHalving = stride == 2
    func depth(_ channels: Int) -> Module {
      depthwise(channels, channels, [kernel, kernel], stride: [stride, stride], act: .none)
    }
    return make.module(
      Self.className("GhostBottleneck"),
      [
        "conv": make.sequential([
          ghostConv(inputs, half), isHalving ? depth(half) : make.identity(), ghostConv(half, outputs, act: .none),
        ]),
        "shortcut": isHalving
          ? make.sequential([depth(inputs), conv(inputs, outputs, act: .none)]) : make.identity(),
      ])
  }

  /// `SPP`: the input beside its maxima over windows of several sizes.
  func pyramid(_ inputs: Int, _ outputs: Int, _ kernels: [Int]) -> Module {
    let hidden = inputs / 2
    return make.module(
      Self.className("SPP"),
      [
        "cv1": conv(inputs, hidden), "cv2": conv(hidden * (kernels.count + 1), outputs),
        "m": make.moduleList(kernels.map { make.maxPool2d($0, stride: 1, padding: $0 / 2) }),
      ])
  }

  /// `SPPF`: the same by one window used three times.
  func fastPyramid(_ inputs: Int, _ outputs: Int, _ kernel: Int) -> Module {
    let hidden = inputs / 2
    return make.module(
      Self.className("SPPF"),
      [
        "cv1": conv(inputs, hidden), "cv2": conv(hidden * 4, outputs),
        "m": make.maxPool2d(kernel, stride: 1, padding: kernel / 2),
      ])
  }

  // MARK: Transformer

  /// `TransformerBlock` of as many channels as come in.
  private func transformer(_ channels: Int, heads: Int, layers: Int) -> Module {
    make.module(
      Self.className("TransformerBlock"), attributes: ["conv": .none, "c2": .int(channels)],
      [
        "linear": make.linear(channels, channels),
        "tr": make.sequential(make.repeated(layers) { transformerLayer(channels, heads) }),
      ])
  }

  private func transformerLayer(_ channels: Int, _ heads: Int) -> Module {
    func linear() -> Module { make.linear(channels, channels, bias: false) }
    return make.module(
      Self.className("TransformerLayer"),
      [
        "q": linear(), "k": linear(), "v": linear(), "ma": make.multiheadAttention(channels, heads: heads),
        "fc1": linear(), "fc2": linear(),
      ])
  }
}
