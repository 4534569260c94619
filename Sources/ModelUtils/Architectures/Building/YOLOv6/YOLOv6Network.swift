import ModelCore

/// A YOLOv6 network as its configuration describes it, release 0.4: backbone, neck and head.
struct YOLOv6Network: Sendable {
  /// How many times as many blocks and channels it has as the tables say.
  var depth, width: Double
  var mode = YOLOv6Mode.repvgg
  /// What a stage is, and what share of its channels each branch has.
  enum Stage: Sendable, Hashable {
    case blocks
    case bottlenecks(share: Double)
    case layers(share: Double)
  }

  var stage = Stage.blocks
  /// Whether levels meet in threes; else they are joined.
  var isFusing = true
  /// Whether the coarsest level is pooled on one of two branches.
  var poolsBesides = true
  /// Whether the head predicts distributions of distances.
  var predictsDistributions = false
  /// Four levels instead of three.
  var isLarge = false {
    didSet {
      guard isLarge != oldValue else { return }
      (blocks, backboneTable, neckTable) = Self.tables(isLarge: isLarge)
    }
  }
  /// Whether the head has a branch of anchors that helps in training, `fuse_ab`.
  var hasAnchorBranch = false

  /// The bins of a distribution but for the first.
  static let bins = 16

  /// Blocks of the stem and the backbone's stages, and of each of the neck's.
  var blocks = [1, 6, 12, 18, 6]
  var neckBlocks = 12
  /// Channels of the stem and the backbone's stages, and of the neck: c5…c10, with four levels c6…c11.
  var backboneTable = [64, 128, 256, 512, 1024]
  var neckTable = [256, 128, 128, 256, 256, 512]

  private static func tables(isLarge: Bool) -> (blocks: [Int], backbone: [Int], neck: [Int]) {
    isLarge
      ? ([1, 6, 12, 18, 6, 6], [64, 128, 256, 512, 768, 1024], [512, 256, 128, 256, 512, 1024])
      : ([1, 6, 12, 18, 6], [64, 128, 256, 512, 1024], [256, 128, 128, 256, 256, 512])
  }

  // MARK: Sizes

  private var backboneChannels: [Int] { backboneTable.map(channels) }
  private var backboneRepeats: [Int] { blocks.map(repeats) }
  private var neckChannels: [Int] { neckTable.map(channels) }

  private func channels(_ count: Int) -> Int { Int((Double(count) * width / 8).rounded(.up)) * 8 }

  private func repeats(_ count: Int) -> Int {
    count > 1 ? max(Int((Double(count) * depth).rounded(.toNearestOrEven)), 1) : count
  }

  /// The pixels of a cell of each level.
  var strides: [Int] { isLarge ? [8, 16, 32, 64] : [8, 16, 32] }

  // MARK: Building

  func build(_ make: ModuleBuilder, classes: Int) -> Module {
    let layers = YOLOv6Layers(make: make, mode: mode)
    let backbone = self.backbone(layers)
    let neck = self.neck(layers)
    let head = YOLOv6Head(make: make, strides: strides, classes: classes)
    let outputs = neckChannels
    let detect = head.detect(
      layers, channels: isLarge ? Array(outputs[2...5]) : [outputs[1], outputs[3], outputs[5]],
      predictsDistributions: predictsDistributions, hasAnchorBranch: hasAnchorBranch)
    var root = make.module(
      ClassName("yolov6.models.yolo", "Model"), attributes: ["stride": head.stride],
      ["backbone": backbone, "neck": neck, "detect": detect])
    root.initializeWeights()
    return root
  }

  private var isPlain: Bool { stage == .blocks }
  /// Of class names.
  private var suffix: String { isLarge ? (isPlain ? "6" : "_P6") : "" }

  private func stage(_ layers: YOLOv6Layers, _ inputs: Int, _ outputs: Int, _ count: Int) -> Module {
    switch stage {
    case .blocks: layers.repBlock(inputs, outputs, count)
    case .bottlenecks(let share): layers.bepC3(inputs, outputs, count, share: share)
    case .layers(let share): layers.mbla(inputs, outputs, count, share: share)
    }
  }

  private func backbone(_ layers: YOLOv6Layers) -> Module {
    let (channels, repeats) = (backboneChannels, backboneRepeats)
    var children: OrderedDictionary<String, Module> = ["stem": layers.block(3, channels[0], stride: 2)]
    for index in 1..<channels.count {
      var parts = [
        layers.block(channels[index - 1], channels[index], stride: 2),
        stage(layers, channels[index], channels[index], repeats[index]),
      ]
      if index == channels.count - 1 {
        // The original's plain backbone of four levels does not ask for the mode here.
        let activation: Activation.Kind = mode == .convolutionSiLU && !(isPlain && isLarge) ? .silu : .relu
        parts.append(layers.pooling(channels[index], isSplit: poolsBesides, activation))
      }
      children["ERBlock_\(index + 1)"] = layers.make.sequential(parts)
    }
    let name = isPlain ? "EfficientRep" : "CSPBepBackbone"
    return layers.make.module(
      ClassName("yolov6.models.efficientrep", name + suffix), attributes: ["fuse_P2": .bool(isFusing)], children)
  }

  private func neck(_ layers: YOLOv6Layers) -> Module {
    let name = (isPlain ? "" : "CSP") + (isFusing ? "RepBiFPANNeck" : "RepPANNeck")
    return layers.make.module(
      ClassName("yolov6.models.reppan", name + suffix), isFusing ? fusingNeck(layers) : joiningNeck(layers))
  }

  /// Down from the coarsest level and up again, in the order in which the constructor goes. Where levels meet it counts
  /// on the neck's having the backbone's channels, as its configurations have; here they may differ.
  private func fusingNeck(_ layers: YOLOv6Layers) -> OrderedDictionary<String, Module> {
    let (from, to, count) = (backboneChannels, neckChannels, repeats(neckBlocks))
    let levels = isLarge ? 4 : 3
    let top = levels + 2
    var children: OrderedDictionary<String, Module> = [:]
    var coming = from[from.count - 1]
    for level in 0..<levels - 1 {
      let (middle, fine) = (from[from.count - 2 - level], from[from.count - 3 - level])
      children["reduce_layer\(level)"] = layers.conv(coming, to[level], 1)
      children["Bifusion\(level)"] = layers.biFusion(middle, fine, to[level])
      children["Rep_p\(top - 1 - level)"] = stage(layers, to[level], to[level], count)
      coming = to[level]
    }
    let (first, offset) = isLarge ? (4, 0) : (3, 1)
    for (step, level) in (0..<levels - 1).reversed().enumerated() {
      let (down, outputs) = isLarge ? (to[2 + step], to[3 + step]) : (to[2 + 2 * step], to[3 + 2 * step])
      children["downsample\(level + offset)"] = layers.conv(coming, down, 3, stride: 2)
      children["Rep_n\(first + step)"] = stage(layers, down + to[level], outputs, count)
      coming = outputs
    }
    return children
  }

  /// Release 0.2's neck of three levels.
  private func joiningNeck(_ layers: YOLOv6Layers) -> OrderedDictionary<String, Module> {
    let (from, to, count) = (backboneChannels, neckChannels, repeats(neckBlocks))
    return [
      "Rep_p4": stage(layers, from[3] + to[0], to[0], count), "Rep_p3": stage(layers, from[2] + to[1], to[1], count),
      "Rep_n3": stage(layers, to[1] + to[2], to[3], count), "Rep_n4": stage(layers, to[0] + to[4], to[5], count),
      "reduce_layer0": layers.conv(from[4], to[0], 1), "upsample0": layers.transpose(to[0]),
      "reduce_layer1": layers.conv(to[0], to[1], 1), "upsample1": layers.transpose(to[1]),
      "downsample2": layers.conv(to[1], to[2], 3, stride: 2), "downsample1": layers.conv(to[3], to[4], 3, stride: 2),
    ]
  }
}
