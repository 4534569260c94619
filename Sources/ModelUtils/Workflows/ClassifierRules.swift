import ModelArchitectures
import ModelCore
import ModelImages

extension ClassifierPreprocessing {
  /// What a model's original does to pictures: what timm wrote into the model; for Ultralytics' and YOLOv5's classifiers
  /// what they do; for torchvision's what comes with its newest weights; for any other what most of torchvision's do.
  /// - Throws: `ModelError` for what timm wrote where that is not known.
  public init(of model: Module) throws {
    if let timm = try Self.timm(model) {
      self = timm
    } else if let head = Self.classifierHead(in: model) {
      let size = model.trainedSize ?? 224
      self =
        head.module.hasPrefix("ultralytics.")
        ? ClassifierPreprocessing(
          resizing: .shorterSide((size + 31) / 32 * 32, .bilinear),
          cropSize: [Int](repeating: (size + 31) / 32 * 32, count: 2),
          mean: [0, 0, 0], standardDeviation: [1, 1, 1])
        : ClassifierPreprocessing(resizing: .middleSquare, cropSize: [224, 224])
    } else {
      self = Self.torchvision(model)
    }
  }

  /// The class of the last module that classifies as YOLO's do.
  private static func classifierHead(in model: Module) -> ClassName? {
    var found: ClassName?
    model.forEachModule { _, module in
      let name = module.className
      if name.name == "Classify",
        name.module.hasPrefix("ultralytics.nn.modules") || name.hasSuffix("models.common.Classify")
      {
        found = name
      }
    }
    return found
  }

  // MARK: timm

  private static func timm(_ model: Module) throws -> ClassifierPreprocessing? {
    guard let entries = (model.attributes["pretrained_cfg"] ?? model.attributes["default_cfg"])?.entriesValue else {
      return nil
    }
    let values = Dictionary(
      entries.compactMap { entry in entry.key.stringValue.map { ($0, entry.value) } }, uniquingKeysWith: { $1 })
    guard let size = values["input_size"]?.intsValue, size.count == 3, size.allSatisfy({ (1...1 << 14).contains($0) })
    else { return nil }
    let filter = ResamplingFilter(rawValue: values["interpolation"]?.stringValue ?? "bilinear")
    guard let filter else {
      throw ModelError(
        .unsupported, "pictures are resampled as '\(values["interpolation"]?.stringValue ?? "")', which is not known")
    }
    let crop = Array(size.dropFirst())
    let mode = values["crop_mode"]?.stringValue ?? "center"
    let share = values["crop_pct"]?.doubleValue ?? 0.875
    guard share > 0, share <= 4 else { throw ModelError(.malformed, "\(share) is no share of a picture to cut") }
    let resizing: Resizing
    switch mode {
    case "center" where crop[0] == crop[1]:
      resizing = .shorterSide(Int((Double(crop[0]) / share).rounded(.down)), filter)
    case "squash" where share == 1: resizing = .squash(filter)
    default:
      throw ModelError(.unsupported, "pictures are cut as '\(mode)' to \(crop) of \(share), which is not known")
    }
    return ClassifierPreprocessing(
      resizing: resizing, cropSize: crop, mean: values["mean"]?.doublesValue ?? imageNet.mean,
      standardDeviation: values["std"]?.doublesValue ?? imageNet.standardDeviation)
  }

  // MARK: torchvision

  private static func torchvision(_ model: Module) -> ClassifierPreprocessing {
    let name = model.stateDict().recognized()?.architecture.name ?? ""
    let size = sizes[name] ?? Sizes(256, 224)
    // Transformers are made for one size; weights for another than the usual were trained end to end.
    if let made = model.attributes["image_size"]?.intValue, made != size.crop, (1...1 << 14).contains(made) {
      return ClassifierPreprocessing(resizing: .shorterSide(made, .bicubic), cropSize: [made, made])
    }
    let resizing = Resizing.shorterSide(size.resize, size.filter)
    guard name != "efficientnet_v2_l" else {
      let half = [0.5, 0.5, 0.5]
      return ClassifierPreprocessing(
        resizing: resizing, cropSize: [size.crop, size.crop], mean: half, standardDeviation: half)
    }
    return ClassifierPreprocessing(resizing: resizing, cropSize: [size.crop, size.crop])
  }

  private struct Sizes: Sendable {
    let resize, crop: Int
    let filter: ResamplingFilter

    init(_ resize: Int, _ crop: Int, _ filter: ResamplingFilter = .bilinear) {
      (self.resize, self.crop, self.filter) = (resize, crop, filter)
    }
  }

  /// Of torchvision's newest weights, where they are not 256 and 224.
  private static let sizes: [String: Sizes] = [
    "convnext_tiny": Sizes(236, 224), "convnext_small": Sizes(230, 224), "convnext_base": Sizes(232, 224),
    "convnext_large": Sizes(232, 224),
    "efficientnet_b0": Sizes(256, 224, .bicubic), "efficientnet_b1": Sizes(255, 240),
    "efficientnet_b2": Sizes(288, 288, .bicubic), "efficientnet_b3": Sizes(320, 300, .bicubic),
    "efficientnet_b4": Sizes(384, 380, .bicubic), "efficientnet_b5": Sizes(456, 456, .bicubic),
    "efficientnet_b6": Sizes(528, 528, .bicubic), "efficientnet_b7": Sizes(600, 600, .bicubic),
    "efficientnet_v2_s": Sizes(384, 384), "efficientnet_v2_m": Sizes(480, 480),
    "efficientnet_v2_l": Sizes(480, 480, .bicubic),
    "inception_v3": Sizes(342, 299), "maxvit_t": Sizes(224, 224, .bicubic),
    "mnasnet0_75": Sizes(232, 224), "mnasnet1_3": Sizes(232, 224),
    "mobilenet_v2": Sizes(232, 224), "mobilenet_v3_large": Sizes(232, 224),
    "regnet_x_400mf": Sizes(232, 224), "regnet_x_800mf": Sizes(232, 224), "regnet_x_1_6gf": Sizes(232, 224),
    "regnet_x_3_2gf": Sizes(232, 224), "regnet_x_8gf": Sizes(232, 224), "regnet_x_16gf": Sizes(232, 224),
    "regnet_x_32gf": Sizes(232, 224), "regnet_y_400mf": Sizes(232, 224), "regnet_y_800mf": Sizes(232, 224),
    "regnet_y_1_6gf": Sizes(232, 224), "regnet_y_3_2gf": Sizes(232, 224), "regnet_y_8gf": Sizes(232, 224),
    "regnet_y_16gf": Sizes(232, 224), "regnet_y_32gf": Sizes(232, 224), "regnet_y_128gf": Sizes(384, 384, .bicubic),
    "resnet50": Sizes(232, 224), "resnet101": Sizes(232, 224), "resnet152": Sizes(232, 224),
    "resnext50_32x4d": Sizes(232, 224), "resnext101_32x8d": Sizes(232, 224), "resnext101_64x4d": Sizes(232, 224),
    "shufflenet_v2_x1_5": Sizes(232, 224), "shufflenet_v2_x2_0": Sizes(232, 224),
    "swin_t": Sizes(232, 224, .bicubic), "swin_s": Sizes(246, 224, .bicubic), "swin_b": Sizes(238, 224, .bicubic),
    "swin_v2_t": Sizes(260, 256, .bicubic), "swin_v2_s": Sizes(260, 256, .bicubic),
    "swin_v2_b": Sizes(272, 256, .bicubic),
    "vit_l_16": Sizes(242, 224), "vit_h_14": Sizes(518, 518, .bicubic),
    "wide_resnet50_2": Sizes(232, 224), "wide_resnet101_2": Sizes(232, 224),
  ]
}
