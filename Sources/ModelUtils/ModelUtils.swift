/// Everything the library offers, under one import.
@_exported import ModelArchitectures
@_exported import ModelAveraging
@_exported import ModelCheckpoints
@_exported import ModelCore
@_exported import ModelImages
@_exported import ModelInspection
@_exported import ModelSurgery

/// The version of the library and of the command.
public let modelUtilsVersion = "0.1.0"
