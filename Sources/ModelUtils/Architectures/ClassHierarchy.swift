import ModelCore

/// Which classes PyTorch's, torchvision's, timm's and YOLO's classes are derived from. What is not here is known to be derived
/// from itself alone.
package enum ClassHierarchy {
  /// The names of a class and of all its bases, its own first.
  package static func names(of className: ClassName) -> [String] {
    var names = [className.name]
    var place = className.isTorchModule ? "torch" : Substring(className.inTimm.description)
    // The longest known end of the module's path decides: models.common for yolov5.models.common.
    if !className.isTorchModule {
      place = place.dropLast(className.name.count + 1)
      while bases[String(place)] == nil, let dot = place.firstIndex(of: ".") {
        place = place[place.index(after: dot)...]
      }
    }
    while let base = bases[String(place)]?[names[names.count - 1]] ?? bases["torch"]?[names[names.count - 1]],
      names.count < 16
    {
      names.append(base)
    }
    return names
  }

  /// By the module's path (all of torch.nn.modules is one): class to base.
  private static let bases = known.merging(timm) { first, _ in first }

  private static let known: [String: [String: String]] = [
    "torch": table(
      ("_ConvNd", "Conv1d Conv2d Conv3d _ConvTransposeNd"),
      ("_ConvTransposeNd", "ConvTranspose1d ConvTranspose2d ConvTranspose3d"),
      ("_NormBase", "_BatchNorm _InstanceNorm"),
      ("_BatchNorm", "BatchNorm1d BatchNorm2d BatchNorm3d SyncBatchNorm"),
      ("_InstanceNorm", "InstanceNorm1d InstanceNorm2d InstanceNorm3d"),
      ("Linear", "LazyLinear NonDynamicallyQuantizableLinear"),
      ("Hardtanh", "ReLU6"),
      ("_DropoutNd", "AlphaDropout Dropout Dropout1d Dropout2d Dropout3d FeatureAlphaDropout"),
      ("_CircularPadNd", "CircularPad1d CircularPad2d CircularPad3d"),
      ("_ConstantPadNd", "ConstantPad1d ConstantPad2d ConstantPad3d"),
      ("ConstantPad1d", "ZeroPad1d"), ("ConstantPad2d", "ZeroPad2d"), ("ConstantPad3d", "ZeroPad3d"),
      ("_ReflectionPadNd", "ReflectionPad1d ReflectionPad2d ReflectionPad3d"),
      ("_ReplicationPadNd", "ReplicationPad1d ReplicationPad2d ReplicationPad3d"),
      ("_AdaptiveAvgPoolNd", "AdaptiveAvgPool1d AdaptiveAvgPool2d AdaptiveAvgPool3d"),
      ("_AdaptiveMaxPoolNd", "AdaptiveMaxPool1d AdaptiveMaxPool2d AdaptiveMaxPool3d"),
      ("_AvgPoolNd", "AvgPool1d AvgPool2d AvgPool3d"), ("_LPPoolNd", "LPPool1d LPPool2d LPPool3d"),
      ("_MaxPoolNd", "MaxPool1d MaxPool2d MaxPool3d"), ("_MaxUnpoolNd", "MaxUnpool1d MaxUnpool2d MaxUnpool3d"),
      ("RNNBase", "GRU LSTM RNN"), ("RNNCellBase", "GRUCell LSTMCell RNNCell"),
      ("Upsample", "UpsamplingBilinear2d UpsamplingNearest2d")),
    "torchvision.ops.misc": table(
      ("ConvNormActivation", "Conv2dNormActivation Conv3dNormActivation"), ("Sequential", "ConvNormActivation MLP")),
    "torchvision.models.convnext": table(("LayerNorm", "LayerNorm2d")),
    "torchvision.models.densenet": table(("Sequential", "_Transition"), ("ModuleDict", "_DenseBlock")),
    "torchvision.models.regnet": table(
      ("Sequential", "AnyStage BottleneckTransform ConvNormActivation"), ("ConvNormActivation", "Conv2dNormActivation"),
      ("Conv2dNormActivation", "SimpleStemIN")),
    "torchvision.models._utils": table(("ModuleDict", "IntermediateLayerGetter")),
    "torchvision.models.segmentation.deeplabv3": table(
      ("Sequential", "ASPPConv ASPPPooling DeepLabHead"), ("_SimpleSegmentationModel", "DeepLabV3")),
    "torchvision.models.segmentation.fcn": table(("Sequential", "FCNHead"), ("_SimpleSegmentationModel", "FCN")),
    "torchvision.models.video.resnet": table(
      ("Sequential", "BasicStem Conv2Plus1D R2Plus1dStem"), ("Conv3d", "Conv3DNoTemporal Conv3DSimple")),
    "models.common": table(
      ("C3", "C3Ghost C3SPP C3TR C3x"), ("Conv", "DWConv"), ("ConvTranspose2d", "DWConvTranspose2d")),
    "models.experimental": table(("ModuleList", "Ensemble")),
    "models.yolo": table(
      ("BaseModel", "ClassificationModel DetectionModel"), ("Detect", "Segment"),
      ("DetectionModel", "SegmentationModel")),
    "ultralytics.nn.modules.block": table(
      ("C2f", "C2fCIB C2fPSA C3k2"), ("C3", "C3Ghost C3TR C3k C3x RepCSP"), ("RepNCSPELAN4", "ELAN1"),
      ("Proto", "Proto26"), ("Bottleneck", "RepBottleneck")),
    "ultralytics.nn.modules.conv": table(("Conv", "Conv2 DWConv"), ("ConvTranspose2d", "DWConvTranspose2d")),
    "ultralytics.nn.modules.head": table(
      ("Detect", "OBB Pose Segment WorldDetect YOLOEDetect v10Detect"), ("OBB", "OBB26"), ("Pose", "Pose26"),
      ("Segment", "Segment26"), ("YOLOEDetect", "YOLOESegment"), ("YOLOESegment", "YOLOESegment26")),
    "ultralytics.nn.modules.transformer": table(("TransformerEncoderLayer", "AIFI")),
    "ultralytics.nn.tasks": table(
      ("BaseModel", "ClassificationModel DetectionModel SemanticSegmentationModel"),
      ("DetectionModel", "DepthModel OBBModel PoseModel RTDETRDetectionModel SegmentationModel WorldModel YOLOEModel"),
      ("ModuleList", "Ensemble"), ("YOLOEModel", "YOLOESegModel")),
  ]

  static func table(_ rows: (base: String, classes: String)...) -> [String: String] {
    rows.reduce(into: [:]) { table, row in
      for name in row.classes.split(separator: " ") { table[String(name)] = row.base }
    }
  }
}
