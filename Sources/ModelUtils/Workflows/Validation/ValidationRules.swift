import ModelCore
import ModelData
import ModelDetection

extension DetectorValidation {
  /// By whose program a detector is judged: how pictures are made inputs, what is kept of what is found, and how that is
  /// compared with what is there.
  public enum Rules: String, Sendable, Hashable, Codable, CaseIterable {
    /// YOLOv5 7.0's `val.py`.
    case yolov5
    /// YOLOv6's `Evaler`. Its mAP is COCO's.
    case yolov6
    /// YOLOv7's `test.py`.
    case yolov7
    /// `val.py` of YOLOv9's repository.
    case yolov9
    /// Ultralytics 8.4's `val` of its YOLOs.
    case ultralytics
    /// Ultralytics 8.4's `val` of RT-DETR: pictures are stretched to squares.
    case rtdetr

    /// Those of the program that a detector is from.
    /// - Throws: `ModelError` where its head is none that is known.
    public init(of module: Module) throws {
      switch try DetectionHead(of: module).family {
      case .yolov5: self = .yolov5
      case .yolov6: self = .yolov6
      case .yolov7: self = .yolov7
      case .yolov9: self = .yolov9
      case .ultralytics: self = .ultralytics
      case .rtdetr: self = .rtdetr
      }
    }

    /// Whether predictions are compared with truths in the input's pixels, not in the picture's.
    var comparesInInputs: Bool { self == .ultralytics || self == .rtdetr }

    /// How precision, recall and F1 are found.
    var curves: DetectionCurves.Form {
      switch self {
      case .yolov5, .yolov9: .yolov5
      case .yolov6: .yolov6
      case .yolov7: .yolov7
      case .ultralytics, .rtdetr: .ultralytics
      }
    }

    var fit: PictureFit {
      switch self {
      case .yolov5: .yolov5
      case .yolov6, .yolov7, .yolov9: .yolov6
      case .ultralytics: .ultralytics
      case .rtdetr: .stretched
      }
    }

    /// What the sides of inputs are multiples of.
    func stride(of head: DetectionHead) -> Int {
      self == .yolov6 ? head.largestStride : max(32, head.largestStride)
    }
  }
}
