import ModelCore

/// What is known of a tensor before it is computed: the type of its elements and the length of each axis.
public struct TensorType: Hashable, Sendable, CustomStringConvertible {
  /// The type of the elements.
  public var dtype: DType
  /// Empty for a scalar.
  public var shape: [Int]

  /// A type of elements and the length of each axis.
  public init(_ dtype: DType, _ shape: [Int]) {
    self.dtype = dtype
    self.shape = shape
  }

  public var description: String { "\(dtype.rawValue) \(shape)" }

  func with(_ shape: [Int]) -> TensorType { TensorType(dtype, shape) }
}

extension DType {
  /// The type in which PyTorch computes on several tensors: the wider category counts (bool, integer, floating), and
  /// within it the widest; a scalar counts where no tensor with axes is of its category.
  package static func promoted(_ operands: [TensorType]) -> DType {
    if let dtype = operands.first?.dtype, operands.allSatisfy({ $0.dtype == dtype }) { return dtype }
    func widest(_ types: [DType]) -> DType? { types.max { $0.promotionRank < $1.promotionRank } }
    guard let all = widest(operands.map(\.dtype)) else { return .float32 }
    let dimensioned = widest(operands.filter { !$0.shape.isEmpty }.map(\.dtype))
    guard let dimensioned, dimensioned.promotionRank / 100 == all.promotionRank / 100 else { return all }
    // Two halves of different kinds meet in float32.
    let halves = Set(operands.filter { !$0.shape.isEmpty }.map(\.dtype)).intersection([.float16, .bfloat16])
    return halves.count == 2 && dimensioned != .float64 ? .float32 : dimensioned
  }

  private var promotionRank: Int {
    switch self {
    case .bool: 0
    case .int8, .uint8: 100
    case .int16, .uint16: 101
    case .int32, .uint32: 102
    case .int64, .uint64: 103
    case .float16, .bfloat16: 210
    case .float32: 211
    case .float64: 212
    case .complex32, .complex64, .complex128: 300
    default: 200
    }
  }

  /// Whether its values are whole numbers, bool included.
  package var isInteger: Bool { promotionRank < 200 }
}
