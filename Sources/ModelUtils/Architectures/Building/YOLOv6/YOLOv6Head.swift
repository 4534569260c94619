import ModelCore

/// YOLOv6's heads, release 0.4, with the first values that make every class rare.
struct YOLOv6Head {
  let make: ModuleBuilder
  let strides: [Int]
  let classes: Int

  /// The anchors of three levels, in pixels.
  private static let anchors: [[Float]] = [
    [10, 13, 19, 19, 33, 23], [30, 61, 59, 59, 59, 119], [116, 90, 185, 185, 373, 326],
  ]
  /// How probable a class is at first.
  private static let prior = 0.01

  /// The pixels of a cell of each level, as the attribute `stride`.
  var stride: Attribute { whole(strides) }

  private func whole(_ numbers: [Int]) -> Attribute {
    .tensor(
      .init(
        make.tensor(.int64, [numbers.count]) { bytes in
          numbers.map { Int64($0) }.withUnsafeBytes { bytes.copyMemory(from: $0) }
        }))
  }

  /// A head of stems, branches and predictors for each level.
  func detect(
    _ layers: YOLOv6Layers, channels: [Int], predictsDistributions: Bool, hasAnchorBranch: Bool
  ) -> Module {
    let bins = predictsDistributions ? YOLOv6Network.bins : 0
    let anchors = hasAnchorBranch ? 3 : 0
    var lists: OrderedDictionary<String, [Module]> = [:]
    for count in channels {
      lists["stems", default: []].append(layers.conv(count, count, 1, .silu))
      lists["cls_convs", default: []].append(layers.conv(count, count, 3, .silu))
      lists["reg_convs", default: []].append(layers.conv(count, count, 3, .silu))
      lists["cls_preds", default: []].append(make.conv2d(count, classes, 1))
      lists["reg_preds", default: []].append(make.conv2d(count, 4 * (bins + 1), 1))
      guard hasAnchorBranch else { continue }
      lists["cls_preds_ab", default: []].append(make.conv2d(count, classes * anchors, 1))
      lists["reg_preds_ab", default: []].append(make.conv2d(count, 4 * anchors, 1))
    }
    // Seventeen taps whatever the head predicts; they sum a distribution to its mean and are not trained.
    let taps = (0...YOLOv6Network.bins).map(Float.init)
    var projection = make.conv2d(taps.count, 1, 1, bias: false)
    make.set(projection.parameters["weight"], to: .elements(taps))
    projection.parameters["weight"]?.requiresGrad = false
    var taught = make.parameter([taps.count], .elements(taps))
    taught.requiresGrad = false
    var attributes = self.attributes
    attributes["use_dfl"] = .bool(predictsDistributions)
    attributes["reg_max"] = .int(YOLOv6Network.bins)
    if hasAnchorBranch {
      attributes["na"] = .int(anchors)
      let cells = zip(Self.anchors, strides).flatMap { level, stride in level.map { $0 / Float(stride) } }
      attributes["anchors_init"] = .tensor(
        .init(
          make.tensor(.float32, [strides.count, anchors, 2]) { bytes in
            cells.withUnsafeBytes { bytes.copyMemory(from: $0) }
          }))
    }
    var children: OrderedDictionary<String, Module> = ["proj_conv": projection]
    children.merge(modules(lists).elements.map { ($0.key, $0.value) }) { $1 }
    let name = hasAnchorBranch ? "yolov6.models.heads.effidehead_fuseab" : "yolov6.models.effidehead"
    return make.module(
      ClassName(name, "Detect"), attributes: attributes, children,
      parameters: ["proj": taught])
  }

  /// The head of the lite networks.
  func lite(_ channels: Int, _ branch: () -> Module) -> Module {
    var lists: OrderedDictionary<String, [Module]> = [:]
    for _ in strides {
      for name in ["stems", "cls_convs", "reg_convs"] { lists[name, default: []].append(branch()) }
      lists["cls_preds", default: []].append(make.conv2d(channels, classes, 1))
      lists["reg_preds", default: []].append(make.conv2d(channels, 4, 1))
    }
    return make.module(
      ClassName("yolov6.models.heads.effidehead_lite", "Detect"), attributes: attributes, modules(lists))
  }

  private var attributes: OrderedDictionary<String, Attribute> {
    [
      "nc": .int(classes), "no": .int(classes + 5), "nl": .int(strides.count), "prior_prob": .double(Self.prior),
      "grid": .list(
        strides.map { _ in
          .tensor(.init(make.tensor(.float32, [1]) { $0.initializeMemory(as: UInt8.self, repeating: 0) }))
        }),
      "inplace": .bool(true), "stride": stride, "grid_cell_offset": .double(0.5), "grid_cell_size": .double(5),
    ]
  }

  /// Lists by their names; predictors get their first values.
  private func modules(_ lists: OrderedDictionary<String, [Module]>) -> OrderedDictionary<String, Module> {
    let rare = -CMath.log((1 - Self.prior) / Self.prior)
    for (name, modules) in lists where name.contains("_preds") {
      for module in modules {
        make.set(module.parameters["weight"], to: .constant(0))
        make.set(module.parameters["bias"], to: .constant(name.hasPrefix("cls") ? rare : 1))
      }
    }
    return lists.mapValues { make.moduleList($0) }
  }
}
