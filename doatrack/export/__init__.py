"""Fitted trackers as ONNX files, for machines without Python or torch."""

from doatrack.export.graphs import ExportGraph, graph_of
from doatrack.export.int8 import quantize_int8
from doatrack.export.metadata import FORMAT_VERSION, model_metadata
from doatrack.export.onnx_file import export_onnx

__all__ = ["FORMAT_VERSION", "ExportGraph", "export_onnx", "graph_of", "model_metadata", "quantize_int8"]
